package ordertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// epoch is when the suite's orders begin. It has microseconds.
var epoch = time.Date(2030, 1, 2, 19, 15, 0, 123456000, time.UTC)

// sample is ada's order of that ID, so many seconds after epoch.
func sample(id string, second int) order.Order {
	euro := func(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }
	at := epoch.Add(time.Duration(second) * time.Second)
	return order.Order{
		ID: id, Customer: "ada", State: order.Paid, Method: "pm_card_visa", Payment: "pi_" + id, Version: 1, Created: at, Updated: at,
		Lines: []order.Line{
			{Dish: "tea", Name: "Green tea 茶", Quantity: 1, Unit: euro(310), Total: euro(310)},
			{Dish: "ramen", Name: "Ramen", Quantity: 2, Unit: euro(1250), Total: euro(2500)},
		},
		Totals: order.Totals{Subtotal: euro(2810), Discount: euro(281), Tax: euro(481), Total: euro(3010)},
	}
}

// same compares orders. Times are the same moment, and in UTC.
func same(t *testing.T, want, got order.Order, what ...any) {
	t.Helper()
	for _, at := range []*time.Time{&want.Created, &want.Updated, &got.Created, &got.Updated} {
		assert.Equal(t, time.UTC, at.Location(), "times are in UTC")
		*at = at.UTC().Round(0)
	}
	assert.Equal(t, want, got, what...)
}

// TestOrders is the suite of order.Orders. newOrders returns one without orders.
func TestOrders(t *testing.T, newOrders func(t *testing.T) order.Orders) {
	created := func(t *testing.T, s order.Orders, o order.Order) order.Order {
		t.Helper()
		require.NoError(t, s.Create(within(t), o), "Create(%q)", o.ID)
		return o
	}
	get := func(t *testing.T, s order.Orders, id string) order.Order {
		t.Helper()
		o, err := s.Get(within(t), id)
		require.NoError(t, err, "Get(%q)", id)
		return o
	}

	t.Run("keeps_an_order", func(t *testing.T) {
		s := newOrders(t)
		o := created(t, s, sample("one", 0))
		same(t, o, get(t, s, "one"), "all of it, its lines in their order, its times to the microsecond")
	})

	t.Run("keeps_a_pending_order", func(t *testing.T) {
		s := newOrders(t)
		o := sample("one", 0)
		o.State, o.Payment = order.Pending, ""
		created(t, s, o)
		same(t, o, get(t, s, "one"))
	})

	t.Run("keeps_every_state", func(t *testing.T) {
		s := newOrders(t)
		for i, state := range order.States() {
			o := sample(string(state), i)
			created(t, s, o)
			o.State = state
			_, err := s.Update(within(t), o)
			require.NoError(t, err, "Update to the state %s", state)
			assert.Equal(t, state, get(t, s, o.ID).State)
			page, err := s.List(within(t), order.Query{State: state, Limit: 10})
			require.NoError(t, err)
			assert.NotEmpty(t, page, "List of the orders that are %s", state)
		}
	})

	t.Run("keeps_amounts_to_the_largest", func(t *testing.T) {
		s := newOrders(t)
		o := sample("one", 0)
		o.Totals.Subtotal.Amount, o.Totals.Discount.Amount, o.Totals.Tax.Amount, o.Totals.Total.Amount = 1<<63-1, 0, 0, 1<<63-1
		created(t, s, o)
		same(t, o, get(t, s, "one"))
	})

	t.Run("an_order_is_the_callers_own", func(t *testing.T) {
		s := newOrders(t)
		given := created(t, s, sample("one", 0))
		given.Lines[0].Name = "scribble"
		got := get(t, s, "one")
		got.Lines[1].Name = "scribble"
		same(t, sample("one", 0), get(t, s, "one"), "a caller changed the lines of its own order, and with them what is kept")
	})

	t.Run("knows_no_order_that_was_not_created", func(t *testing.T) {
		s := newOrders(t)
		_, err := s.Get(within(t), "one")
		require.ErrorIs(t, err, order.ErrNotFound)
	})

	t.Run("IDs_are_text_of_any_kind", func(t *testing.T) {
		s := newOrders(t)
		for i, id := range []string{"one'; DROP TABLE orders; --", "ONE", "one", "a/b?c=d%20", "茶"} {
			created(t, s, sample(id, i))
		}
		for i, id := range []string{"one'; DROP TABLE orders; --", "ONE", "one", "a/b?c=d%20", "茶"} {
			same(t, sample(id, i), get(t, s, id))
		}
	})

	t.Run("an_ID_is_taken_once", func(t *testing.T) {
		s := newOrders(t)
		created(t, s, sample("one", 0))
		other := sample("one", 5)
		other.Customer = "bob"
		require.ErrorIs(t, s.Create(within(t), other), order.ErrExists)
		same(t, sample("one", 0), get(t, s, "one"), "the first one stays as it is")
	})

	t.Run("of_many_at_once_one_creates", func(t *testing.T) {
		s := newOrders(t)
		done := 0
		for _, err := range atOnce(20, func(int) error { return s.Create(within(t), sample("one", 0)) }) {
			if err == nil {
				done++
			} else {
				assert.ErrorIs(t, err, order.ErrExists)
			}
		}
		assert.Equal(t, 1, done, "calls of Create for one ID that succeeded, of 20 at once")
	})

	t.Run("updates_state_payment_and_time_and_counts_the_version", func(t *testing.T) {
		s := newOrders(t)
		o := sample("one", 0)
		o.State, o.Payment = order.Pending, ""
		created(t, s, o)
		o.State, o.Payment, o.Updated = order.Paid, "pi_late", epoch.Add(time.Hour)
		got, err := s.Update(within(t), o)
		require.NoError(t, err)
		o.Version = 2
		same(t, o, got, "what Update returned")
		same(t, o, get(t, s, "one"), "what is kept")
	})

	t.Run("updates_nothing_else", func(t *testing.T) {
		s := newOrders(t)
		o := created(t, s, sample("one", 0))
		o.State = order.Preparing
		want := sample("one", 0)
		want.State, want.Version = order.Preparing, 2
		o.Customer, o.Method, o.Lines, o.Totals, o.Created = "bob", "pm_other", nil, order.Totals{}, epoch.Add(time.Hour)
		got, err := s.Update(within(t), o)
		require.NoError(t, err)
		same(t, want, got, "what Update returned: only State, Payment and Updated are changed")
		same(t, want, get(t, s, "one"), "what is kept: only State, Payment and Updated are changed")
	})

	t.Run("updates_no_other_version", func(t *testing.T) {
		s := newOrders(t)
		first := created(t, s, sample("one", 0))
		first.State = order.Preparing
		second, err := s.Update(within(t), first)
		require.NoError(t, err)
		first.State = order.Cancelled
		_, err = s.Update(within(t), first)
		require.ErrorIs(t, err, order.ErrConflict, "it was changed since version 1")
		same(t, second, get(t, s, "one"))
		second.Version++
		_, err = s.Update(within(t), second)
		require.ErrorIs(t, err, order.ErrConflict, "there is no version 3 yet")
	})

	t.Run("updates_no_order_that_is_not_there", func(t *testing.T) {
		s := newOrders(t)
		_, err := s.Update(within(t), sample("one", 0))
		require.ErrorIs(t, err, order.ErrNotFound)
		_, err = s.Get(within(t), "one")
		require.ErrorIs(t, err, order.ErrNotFound, "an update creates nothing")
	})

	t.Run("of_many_at_once_one_updates", func(t *testing.T) {
		s := newOrders(t)
		o := created(t, s, sample("one", 0))
		o.State = order.Preparing
		done := 0
		for _, err := range atOnce(20, func(int) error { _, err := s.Update(within(t), o); return err }) {
			if err == nil {
				done++
			} else {
				assert.ErrorIs(t, err, order.ErrConflict)
			}
		}
		assert.Equal(t, 1, done, "updates of version 1 that succeeded, of 20 at once")
		assert.Equal(t, 2, get(t, s, "one").Version)
	})

	ids := func(t *testing.T, s order.Orders, q order.Query) []string {
		t.Helper()
		page, err := s.List(within(t), q)
		require.NoError(t, err, "List(%+v)", q)
		all := []string{}
		for _, o := range page {
			all = append(all, o.ID)
		}
		return all
	}
	after := func(t *testing.T, s order.Orders, id string) order.Cursor {
		t.Helper()
		return order.Cursor{Created: get(t, s, id).Created, ID: id}
	}

	t.Run("lists_the_newest_first", func(t *testing.T) {
		s := newOrders(t)
		for i, id := range []string{"b", "c", "a"} {
			created(t, s, sample(id, i))
		}
		assert.Equal(t, []string{"a", "c", "b"}, ids(t, s, order.Query{Limit: 10}), "by Created, whatever the IDs")
	})

	t.Run("lists_those_of_one_moment_by_ID", func(t *testing.T) {
		s := newOrders(t)
		for _, id := range []string{"b", "d", "a", "c"} {
			created(t, s, sample(id, 0))
		}
		assert.Equal(t, []string{"d", "c", "b", "a"}, ids(t, s, order.Query{Limit: 10}), "the newest first, and of the same moment those of the highest ID, octet by octet")
	})

	t.Run("sorts_IDs_octet_by_octet", func(t *testing.T) {
		s := newOrders(t)
		for _, id := range []string{"a", "B", "_", "Z", "b"} {
			created(t, s, sample(id, 0))
		}
		assert.Equal(t, []string{"b", "a", "_", "Z", "B"}, ids(t, s, order.Query{Limit: 10}), "a database's collation must not decide (COLLATE \"C\")")
	})

	t.Run("lists_whole_orders", func(t *testing.T) {
		s := newOrders(t)
		created(t, s, sample("one", 0))
		o := created(t, s, sample("two", 1))
		page, err := s.List(within(t), order.Query{Limit: 10})
		require.NoError(t, err)
		require.Len(t, page, 2)
		same(t, o, page[0], "with their lines")
	})

	t.Run("lists_nothing_where_there_is_nothing", func(t *testing.T) {
		assert.Empty(t, ids(t, newOrders(t), order.Query{Limit: 10}))
	})

	t.Run("lists_one_customers", func(t *testing.T) {
		s := newOrders(t)
		for i, customer := range []string{"ada", "bob", "ada", "adam"} {
			o := sample(fmt.Sprint(i), i)
			o.Customer = customer
			created(t, s, o)
		}
		assert.Equal(t, []string{"2", "0"}, ids(t, s, order.Query{Customer: "ada", Limit: 10}))
	})

	t.Run("lists_those_of_one_state", func(t *testing.T) {
		s := newOrders(t)
		for i, state := range []order.State{order.Paid, order.Pending, order.Paid} {
			o := sample(fmt.Sprint(i), i)
			o.State = state
			created(t, s, o)
		}
		assert.Equal(t, []string{"1"}, ids(t, s, order.Query{State: order.Pending, Limit: 10}))
		assert.Equal(t, []string{"2", "0"}, ids(t, s, order.Query{State: order.Paid, Customer: "ada", Limit: 10}))
	})

	t.Run("pages_end_where_the_next_one_begins", func(t *testing.T) {
		s := newOrders(t)
		var want, got []string
		for i := range 11 {
			id := fmt.Sprintf("%02d", i)
			created(t, s, sample(id, i/3)) // three of a moment, so that pages end between them
			want = append([]string{id}, want...)
		}
		var cursor order.Cursor
		for range 20 {
			page := ids(t, s, order.Query{Customer: "ada", Limit: 2, After: cursor})
			require.LessOrEqual(t, len(page), 2, "Limit is 2")
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			cursor = after(t, s, page[len(page)-1])
		}
		assert.Equal(t, want, got, "every order once, over all pages")
	})

	t.Run("pages_stay_where_they_are_when_orders_are_added", func(t *testing.T) {
		s := newOrders(t)
		for i := range 6 {
			created(t, s, sample(fmt.Sprint(i), i))
		}
		require.Equal(t, []string{"5", "4", "3"}, ids(t, s, order.Query{Limit: 3}))
		cursor := after(t, s, "3")
		created(t, s, sample("new", 100))
		created(t, s, sample("newer", 101))
		assert.Equal(t, []string{"2", "1", "0"}, ids(t, s, order.Query{Limit: 3, After: cursor}), "orders were added in front after the first page: none comes twice, and none is left out (a page by OFFSET would begin with 4)")
	})

	t.Run("pages_stay_where_they_are_when_orders_change", func(t *testing.T) {
		s := newOrders(t)
		for i := range 4 {
			created(t, s, sample(fmt.Sprint(i), i))
		}
		o := get(t, s, "2")
		cursor := order.Cursor{Created: o.Created, ID: o.ID}
		o.State, o.Updated = order.Cancelled, epoch.Add(time.Hour)
		_, err := s.Update(within(t), o)
		require.NoError(t, err)
		assert.Equal(t, []string{"1", "0"}, ids(t, s, order.Query{State: order.Paid, Limit: 3, After: cursor}), "the order that the cursor came from is not in this list any more; its place is")
	})

	t.Run("a_context_that_is_done_changes_nothing", func(t *testing.T) {
		s := newOrders(t)
		require.ErrorIs(t, s.Create(gone(), sample("one", 0)), context.Canceled)
		_, err := s.Get(within(t), "one")
		require.ErrorIs(t, err, order.ErrNotFound)
		o := created(t, s, sample("one", 0))
		o.State = order.Preparing
		_, err = s.Update(gone(), o)
		require.ErrorIs(t, err, context.Canceled)
		same(t, sample("one", 0), get(t, s, "one"))
		_, err = s.Get(gone(), "one")
		require.ErrorIs(t, err, context.Canceled)
		_, err = s.List(gone(), order.Query{Limit: 1})
		require.ErrorIs(t, err, context.Canceled)
	})
}
