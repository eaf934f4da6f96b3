// Package ordertest says what it takes to be one of order's ports: a suite for
// each, which an implementation passes, whether it keeps things in memory, in a
// database, or with a provider. It also has Faults, for those who use ports and
// want to see what becomes of them when one fails.
//
// A suite takes a constructor, and calls it once in each of its tests; who makes
// something that must be closed does so by t.Cleanup. Every call of a suite has a
// deadline of 30 s, which is long for a database and short for a test that hangs.
package ordertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// within is the context of a test's calls.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// gone is a context that is done already.
func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// atOnce calls f n times, all at once, and returns their errors.
func atOnce(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// TestMenu is the suite of order.Menu. newMenu returns one of these dishes.
func TestMenu(t *testing.T, newMenu func(t *testing.T, dishes []order.Dish) order.Menu) {
	dishes := []order.Dish{
		{ID: "tea", Name: "Green tea 茶", Price: order.Money{Amount: 310, Currency: "EUR"}},
		{ID: "bread", Name: "Bread", Price: order.Money{Amount: 0, Currency: "EUR"}},
		{ID: "ramen", Name: "Ramen", Price: order.Money{Amount: 1250, Currency: "EUR"}},
	}

	t.Run("has_the_dishes_in_the_menus_order", func(t *testing.T) {
		got, err := newMenu(t, dishes).Dishes(within(t))
		require.NoError(t, err)
		assert.Equal(t, dishes, got)
	})

	t.Run("may_be_empty", func(t *testing.T) {
		got, err := newMenu(t, nil).Dishes(within(t))
		require.NoError(t, err)
		assert.Empty(t, got)
	})

	t.Run("the_slice_is_the_callers_own", func(t *testing.T) {
		m := newMenu(t, dishes)
		got, err := m.Dishes(within(t))
		require.NoError(t, err)
		require.NotEmpty(t, got)
		got[0].Price.Amount = 1
		again, err := m.Dishes(within(t))
		require.NoError(t, err)
		assert.Equal(t, dishes, again, "a caller changed the slice that it was given, and with it the menu")
	})

	t.Run("a_context_that_is_done_ends_the_call", func(t *testing.T) {
		m := newMenu(t, dishes)
		_, err := m.Dishes(gone())
		require.ErrorIs(t, err, context.Canceled)
		_, err = m.Dishes(within(t))
		require.NoError(t, err, "a caller that left must not spoil it for the next one")
	})
}

// TestStock is the suite of order.Stock. newStock returns a stock that has so many
// of each dish, by ID, and in which nothing is reserved.
func TestStock(t *testing.T, newStock func(t *testing.T, left map[string]int) order.Stock) {
	full := map[string]int{"ramen": 10, "tea": 3, "soup": 0}
	left := func(t *testing.T, s order.Stock) map[string]int {
		t.Helper()
		got, err := s.Left(within(t))
		require.NoError(t, err)
		return got
	}
	two := []order.Item{{Dish: "ramen", Quantity: 2}, {Dish: "tea", Quantity: 1}}

	t.Run("tells_what_is_left", func(t *testing.T) {
		assert.Equal(t, full, left(t, newStock(t, full)))
	})

	t.Run("what_it_tells_is_the_callers_own", func(t *testing.T) {
		s := newStock(t, full)
		got := left(t, s)
		got["ramen"] = 99
		assert.Equal(t, full, left(t, s), "a caller changed the map that it was given, and with it the stock")
	})

	t.Run("reserves", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		assert.Equal(t, map[string]int{"ramen": 8, "tea": 2, "soup": 0}, left(t, s))
	})

	t.Run("reserves_the_last_one", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", []order.Item{{Dish: "tea", Quantity: 3}}))
		assert.Equal(t, 0, left(t, s)["tea"])
	})

	t.Run("reserves_all_or_nothing", func(t *testing.T) {
		s := newStock(t, full)
		err := s.Reserve(within(t), "one", []order.Item{{Dish: "ramen", Quantity: 2}, {Dish: "tea", Quantity: 4}})
		require.ErrorIs(t, err, order.ErrSoldOut)
		assert.Equal(t, full, left(t, s), "there is not enough tea, so no ramen may be taken either")
	})

	t.Run("says_what_is_sold_out_and_how_many_are_left", func(t *testing.T) {
		s := newStock(t, full)
		err := s.Reserve(within(t), "one", []order.Item{{Dish: "ramen", Quantity: 10}, {Dish: "tea", Quantity: 4}, {Dish: "soup", Quantity: 1}})
		var soldOut *order.SoldOutError
		require.ErrorAs(t, err, &soldOut)
		assert.Equal(t, order.SoldOutError{Dish: "tea", Left: 3}, *soldOut, "the first dish, in the order of the items, of which there is not enough")
	})

	t.Run("a_dish_that_it_does_not_know_is_sold_out", func(t *testing.T) {
		s := newStock(t, full)
		err := s.Reserve(within(t), "one", []order.Item{{Dish: "ramen", Quantity: 1}, {Dish: "pizza", Quantity: 1}})
		var soldOut *order.SoldOutError
		require.ErrorAs(t, err, &soldOut)
		assert.Equal(t, order.SoldOutError{Dish: "pizza", Left: 0}, *soldOut)
		assert.Equal(t, full, left(t, s))
	})

	t.Run("reserves_once_for_an_order", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		require.NoError(t, s.Reserve(within(t), "one", two), "a caller that got no answer asks again")
		assert.Equal(t, map[string]int{"ramen": 8, "tea": 2, "soup": 0}, left(t, s))
	})

	t.Run("reserves_once_for_an_order_whatever_its_items", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		require.NoError(t, s.Reserve(within(t), "one", []order.Item{{Dish: "ramen", Quantity: 9}}))
		assert.Equal(t, map[string]int{"ramen": 8, "tea": 2, "soup": 0}, left(t, s))
	})

	t.Run("tries_again_what_was_sold_out", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", []order.Item{{Dish: "tea", Quantity: 3}}))
		require.ErrorIs(t, s.Reserve(within(t), "two", []order.Item{{Dish: "tea", Quantity: 1}}), order.ErrSoldOut)
		require.NoError(t, s.Release(within(t), "one"))
		require.NoError(t, s.Reserve(within(t), "two", []order.Item{{Dish: "tea", Quantity: 1}}), "a Reserve that failed has reserved nothing, and was not released")
		assert.Equal(t, 2, left(t, s)["tea"])
	})

	t.Run("releases", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		require.NoError(t, s.Reserve(within(t), "two", two))
		require.NoError(t, s.Release(within(t), "one"))
		assert.Equal(t, map[string]int{"ramen": 8, "tea": 2, "soup": 0}, left(t, s), "one of two orders is released")
	})

	t.Run("releases_once", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		require.NoError(t, s.Release(within(t), "one"))
		require.NoError(t, s.Release(within(t), "one"), "a caller that got no answer asks again")
		assert.Equal(t, full, left(t, s))
	})

	t.Run("releases_what_was_never_reserved", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Release(within(t), "one"))
		assert.Equal(t, full, left(t, s))
	})

	t.Run("reserves_nothing_that_was_released", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		require.NoError(t, s.Release(within(t), "one"))
		require.ErrorIs(t, s.Reserve(within(t), "one", two), order.ErrConflict)
		assert.Equal(t, full, left(t, s))
	})

	t.Run("a_reservation_that_comes_after_its_release_takes_nothing", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Release(within(t), "one"))
		require.ErrorIs(t, s.Reserve(within(t), "one", two), order.ErrConflict, "a Reserve whose caller gave up may arrive behind the Release")
		assert.Equal(t, full, left(t, s))
	})

	t.Run("a_context_that_is_done_takes_nothing", func(t *testing.T) {
		s := newStock(t, full)
		require.ErrorIs(t, s.Reserve(gone(), "one", two), context.Canceled)
		assert.Equal(t, full, left(t, s))
		require.NoError(t, s.Reserve(within(t), "one", two), "a caller that left must not spoil it for the next one")
		require.ErrorIs(t, s.Release(gone(), "one"), context.Canceled)
		assert.Equal(t, 8, left(t, s)["ramen"])
		_, err := s.Left(gone())
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("50_buyers_of_10_dishes_get_10", func(t *testing.T) {
		s := newStock(t, full)
		errs := atOnce(50, func(i int) error {
			return s.Reserve(within(t), fmt.Sprint("order-", i), []order.Item{{Dish: "ramen", Quantity: 1}})
		})
		sold := 0
		for _, err := range errs {
			if err == nil {
				sold++
			} else {
				assert.ErrorIs(t, err, order.ErrSoldOut, "whoever gets none is told that it is sold out")
			}
		}
		assert.Equal(t, 10, sold, "orders that got one of 10 dishes")
		assert.Equal(t, 0, left(t, s)["ramen"])
	})

	t.Run("crossing_orders_do_not_block_each_other", func(t *testing.T) {
		s := newStock(t, map[string]int{"ramen": 40, "tea": 40})
		ways := [][]order.Item{
			{{Dish: "ramen", Quantity: 1}, {Dish: "tea", Quantity: 1}},
			{{Dish: "tea", Quantity: 1}, {Dish: "ramen", Quantity: 1}},
		}
		for _, err := range atOnce(40, func(i int) error { return s.Reserve(within(t), fmt.Sprint("order-", i), ways[i%2]) }) {
			assert.NoError(t, err, "40 orders at once, half of them for ramen and tea, half for tea and ramen: there is enough of both")
		}
		assert.Equal(t, map[string]int{"ramen": 0, "tea": 0}, left(t, s))
	})

	t.Run("one_order_reserved_many_times_at_once_is_reserved_once", func(t *testing.T) {
		s := newStock(t, full)
		for _, err := range atOnce(20, func(int) error { return s.Reserve(within(t), "one", two) }) {
			assert.NoError(t, err)
		}
		assert.Equal(t, map[string]int{"ramen": 8, "tea": 2, "soup": 0}, left(t, s))
	})

	t.Run("one_order_released_many_times_at_once_is_released_once", func(t *testing.T) {
		s := newStock(t, full)
		require.NoError(t, s.Reserve(within(t), "one", two))
		for _, err := range atOnce(20, func(int) error { return s.Release(within(t), "one") }) {
			assert.NoError(t, err)
		}
		assert.Equal(t, full, left(t, s))
	})

	t.Run("reserving_and_releasing_one_order_at_once_leaves_nothing_reserved", func(t *testing.T) {
		s := newStock(t, full)
		for i, err := range atOnce(20, func(i int) error {
			if i%2 == 0 {
				return s.Reserve(within(t), "one", two)
			}
			return s.Release(within(t), "one")
		}) {
			if i%2 == 0 && err != nil {
				assert.ErrorIs(t, err, order.ErrConflict, "a Reserve that comes after a Release")
			} else {
				assert.NoError(t, err)
			}
		}
		assert.Equal(t, full, left(t, s), "once it was released, no Reserve takes anything, whichever came first")
	})
}
