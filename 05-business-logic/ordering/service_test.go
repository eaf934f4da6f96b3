package ordering_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/05-business-logic/solution/idempotency"
	"clicktocode.example/05-business-logic/solution/webhook"
)

var _ controller.Service = (*ordering.Service)(nil)

// kitchen is a service whose log can be read, over ports in which faults can be put.
type kitchen struct {
	*ordering.Service
	faults   *ordertest.Faults
	stock    *memory.Stock
	payments *memory.Payments
	orders   *memory.Orders
	ports    order.Ports // without faults
	config   ordering.Config
	log      *syncBuffer

	mu  sync.Mutex
	now time.Time
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	k := &kitchen{stock: memory.NewStock(initial), payments: memory.NewPayments(), orders: memory.NewOrders(), log: &syncBuffer{}, now: epoch}
	k.ports = order.Ports{Menu: memory.NewMenu(dishes), Stock: k.stock, Payments: k.payments, Orders: k.orders}
	k.faults = ordertest.NewFaults(k.ports)
	k.config = ordering.Config{
		Ports: k.faults.Ports(), Interval: interval, Now: k.clock,
		Log: slog.New(slog.NewTextHandler(k.log, nil)),
	}
	k.Service = k.start(t, k.config)
	return k
}

func (k *kitchen) start(t *testing.T, c ordering.Config) *ordering.Service {
	t.Helper()
	s, err := ordering.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(gone()) })
	return s
}

func (k *kitchen) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *kitchen) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// settle has an Interval pass, and settles.
func (k *kitchen) settle(t *testing.T) error {
	t.Helper()
	k.pass(interval)
	return k.Settle(t.Context())
}

// tea places ada's order of two teas at s, under her key, as package idempotency would.
func tea(ctx context.Context, s *ordering.Service, key string, change ...func(*order.Request)) (o order.Order, err error) {
	r := order.Request{Customer: "ada", Items: []order.Item{{Dish: "tea", Quantity: 2}}, Method: "pm_card_visa"}
	for _, c := range change {
		c(&r)
	}
	keys, _ := idempotency.New(idempotency.Config{})
	_, _, _ = keys.Do(ctx, r.Customer, key, nil, func(ctx context.Context) (idempotency.Answer, error) {
		o, err = s.Place(ctx, r)
		return idempotency.Answer{}, nil
	})
	return o, err
}

// teas are those that are left, of 9.
func (k *kitchen) teas(t *testing.T) int {
	t.Helper()
	left, err := k.stock.Left(t.Context())
	require.NoError(t, err)
	return left["tea"]
}

// money is what was collected and not paid back.
func (k *kitchen) money() (sum int64) {
	for _, p := range k.payments.Book() {
		if p.ID != "" && !p.Refunded {
			sum += p.Charge.Amount.Amount
		}
	}
	return sum
}

func (k *kitchen) state(t *testing.T, id string) order.State {
	t.Helper()
	o, err := k.orders.Get(t.Context(), id)
	require.NoError(t, err)
	return o.State
}

// paid is what the provider tells of the payment at the place i in its book.
func (k *kitchen) paid(i int) ordering.Payment {
	p := k.payments.Book()[i]
	return ordering.Payment{ID: p.ID, Order: p.Charge.Order, Amount: p.Charge.Amount, Paid: p.ID != "", At: epoch}
}

func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// syncBuffer is a bytes.Buffer for many goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// errors are the lines of the level ERROR.
func (b *syncBuffer) errors() (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.b.String()) {
		if strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return lines
}

const twoTeas = 620

func TestNew(t *testing.T) {
	t.Run("names_all_faults_at_once", func(t *testing.T) {
		_, err := ordering.New(ordering.Config{
			Discount: 10_000, Tax: -1, Mailer: memory.NewMailer(), Queue: -1, Interval: -1, KeyLife: -1, Orphan: -1,
		})
		require.Error(t, err)
		for _, name := range []string{"Menu", "Stock", "Payments", "Orders", "Discount", "Tax", "Recipient", "Queue", "Interval", "KeyLife", "Orphan"} {
			assert.Contains(t, err.Error(), name)
		}
	})
}

func TestPlace(t *testing.T) {
	t.Run("names_the_order_by_its_key", func(t *testing.T) {
		k := newKitchen(t)
		one, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		again, err := tea(t.Context(), k.start(t, k.config), "k")
		require.NoError(t, err)
		assert.Equal(t, one, again, "the same key, at another replica, or after a restart")
		other, err := tea(t.Context(), k.Service, "l")
		require.NoError(t, err)
		assert.NotEqual(t, one.ID, other.ID)
	})

	t.Run("names_an_order_without_a_key_anew", func(t *testing.T) {
		k := newKitchen(t)
		r := order.Request{ID: "mine", Customer: "ada", Items: []order.Item{{Dish: "tea", Quantity: 1}}, Method: "pm_card_visa"}
		one, err := k.Place(t.Context(), r)
		require.NoError(t, err)
		two, err := k.Place(t.Context(), r)
		require.NoError(t, err)
		assert.NotEqual(t, one.ID, two.ID)
		assert.NotEqual(t, "mine", one.ID)
	})

	t.Run("needs_a_customer", func(t *testing.T) {
		k := newKitchen(t)
		_, err := k.Place(t.Context(), order.Request{Items: []order.Item{{Dish: "tea", Quantity: 1}}, Method: "pm_card_visa"})
		require.ErrorIs(t, err, order.ErrInvalid, "an order of nobody would be the kitchen's")
	})

	for name, method := range map[string]string{
		"needs_a_method":                  "",
		"needs_a_method_that_can_be_kept": strings.Repeat("é", order.MaxMethod+1),
	} {
		t.Run(name, func(t *testing.T) {
			k := newKitchen(t)
			_, err := tea(t.Context(), k.Service, "k", func(r *order.Request) { r.Method = method })
			var invalid *order.InvalidError
			require.ErrorAs(t, err, &invalid, "a method of %d characters", utf8.RuneCountInString(method))
			assert.Equal(t, "payment_method", invalid.Field)
			assert.Empty(t, k.faults.Calls(), "nobody is asked")
		})
	}

	t.Run("a_method_may_be_as_long_as_that", func(t *testing.T) {
		k := newKitchen(t)
		method := strings.Repeat("é", order.MaxMethod)
		o, err := tea(t.Context(), k.Service, "k", func(r *order.Request) { r.Method = method })
		require.NoError(t, err)
		assert.Equal(t, method, o.Method)
	})

	t.Run("an_order_that_was_undone_has_another_name_the_next_time", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Charge, down)
		for range 3 {
			_, err := tea(t.Context(), k.Service, "k")
			require.ErrorIs(t, err, order.ErrUnavailable)
		}
		k.faults.Before(ordertest.Charge, nil)
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		assert.True(t, strings.HasSuffix(o.ID, "-4"), o.ID)
		again, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		assert.Equal(t, o, again, "and is found under it")
		assert.Equal(t, 7, k.teas(t))
	})

	t.Run("a_key_is_used_up_some_time", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Charge, down)
		for range 16 {
			_, err := tea(t.Context(), k.Service, "k")
			require.ErrorIs(t, err, order.ErrUnavailable)
		}
		_, err := tea(t.Context(), k.Service, "k")
		require.ErrorIs(t, err, order.ErrConflict)
		assert.Equal(t, 9, k.teas(t))
	})

	for _, row := range []struct {
		name   string
		change func(*order.Request)
	}{
		{"other_dishes", func(r *order.Request) { r.Items = []order.Item{{Dish: "ramen", Quantity: 2}} }},
		{"another_quantity", func(r *order.Request) { r.Items = []order.Item{{Dish: "tea", Quantity: 1}} }},
		{"another_method_of_payment", func(r *order.Request) { r.Method = "pm_card_amex" }},
	} {
		t.Run("a_key_is_not_used_for_"+row.name, func(t *testing.T) {
			k := newKitchen(t)
			_, err := tea(t.Context(), k.Service, "k")
			require.NoError(t, err)
			_, err = tea(t.Context(), k.Service, "k", row.change)
			require.ErrorIs(t, err, order.ErrInvalid)
			assert.EqualValues(t, twoTeas, k.money())
		})
		t.Run("a_key_whose_order_is_in_doubt_is_not_used_for_"+row.name, func(t *testing.T) {
			k := newKitchen(t)
			k.faults.Before(ordertest.Create, lost)
			_, err := tea(t.Context(), k.Service, "k")
			require.ErrorIs(t, err, order.ErrUnknown)
			k.faults.Before(ordertest.Create, nil)
			_, err = tea(t.Context(), k.Service, "k", row.change)
			require.ErrorIs(t, err, order.ErrInvalid)
			_, err = tea(t.Context(), k.Service, "k")
			require.NoError(t, err)
		})
	}

	t.Run("one_at_a_time_is_placed_under_a_key", func(t *testing.T) {
		k := newKitchen(t)
		inside, goOn := make(chan struct{}), make(chan struct{})
		k.faults.Before(ordertest.Charge, func(context.Context) error { close(inside); <-goOn; return down(nil) })
		first := make(chan error, 1)
		go func() { _, err := tea(context.Background(), k.Service, "k"); first <- err }()
		<-inside
		ctx, leave := context.WithCancel(t.Context())
		second := make(chan error, 1)
		go func() { _, err := tea(ctx, k.Service, "k"); second <- err }()
		leave()
		require.ErrorIs(t, <-second, context.Canceled, "the second waits, and may leave")
		assert.Len(t, k.faults.Calls(), 4, "get, menu, reserve, charge: the second has called nothing")
		close(goOn)
		require.ErrorIs(t, <-first, order.ErrUnavailable)
	})
}

// TestDoubt: an order may be there, and the next call with its key fails otherwise.
func TestDoubt(t *testing.T) {
	late := func(k *kitchen) (arrives func(t *testing.T)) {
		var kept order.Order
		o := &capture{Orders: k.config.Ports.Orders, next: func(o order.Order) error { kept = o; return lost(nil) }}
		c := k.config
		c.Ports.Orders = o
		k.config = c
		return func(t *testing.T) { _ = k.orders.Create(t.Context(), kept) }
	}

	for _, row := range []struct {
		name string
		step ordertest.Step
	}{
		{"the_payment_provider_is_away", ordertest.Charge}, {"the_stock_is_away", ordertest.Reserve},
		{"the_order_cannot_be_saved", ordertest.Create}, {"the_orders_are_away", ordertest.Get}, {"the_menu_is_away", ordertest.Dishes},
	} {
		t.Run("nothing_is_undone_when_"+row.name, func(t *testing.T) {
			k := newKitchen(t)
			arrives := late(k)
			s := k.start(t, k.config)
			_, err := tea(t.Context(), s, "k")
			require.ErrorIs(t, err, order.ErrUnknown)
			k.faults.Before(row.step, down)
			o, err := tea(t.Context(), s, "k")
			if err != nil {
				require.ErrorIs(t, err, order.ErrUnknown, "the order that was to be saved may come yet, and it was paid: that this call did nothing says nothing of it")
			} else {
				require.Equal(t, order.Pending, o.State)
			}
			assert.Equal(t, 7, k.teas(t))
			assert.EqualValues(t, twoTeas, k.money())
			k.faults.Before(row.step, nil)
			arrives(t)
			o, err = tea(t.Context(), s, "k")
			require.NoError(t, err)
			k.pass(interval)
			require.NoError(t, s.Settle(t.Context()))
			assert.Equal(t, order.Paid, k.state(t, o.ID))
			assert.Equal(t, 7, k.teas(t))
			assert.EqualValues(t, twoTeas, k.money())
			assert.Empty(t, s.Left())
		})
	}

	t.Run("the_loop_goes_on_when_the_customer_does_not_ask_again", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, lost)
		_, err := tea(t.Context(), k.Service, "k")
		require.ErrorIs(t, err, order.ErrUnknown)
		require.Error(t, k.settle(t), "it is still in doubt")
		k.faults.Before(ordertest.Create, nil)
		require.NoError(t, k.settle(t))
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		assert.Equal(t, order.Paid, o.State)
		assert.Len(t, k.payments.Book(), 1)
	})

	t.Run("it_costs_what_it_did", func(t *testing.T) {
		k := newKitchen(t)
		menu := &dear{price: 310}
		k.config.Ports.Menu = menu
		s := k.start(t, k.config)
		k.faults.Before(ordertest.Create, lost)
		_, err := tea(t.Context(), s, "k")
		require.ErrorIs(t, err, order.ErrUnknown)
		k.faults.Before(ordertest.Create, nil)
		menu.price = 990
		o, err := tea(t.Context(), s, "k")
		require.NoError(t, err)
		assert.Equal(t, order.Paid, o.State, "at the new price, its key would stand for another charge")
		assert.EqualValues(t, twoTeas, o.Totals.Total.Amount)
	})

	t.Run("it_is_given_up_when_the_key_may_be_forgotten", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, lost)
		_, err := tea(t.Context(), k.Service, "k")
		require.ErrorIs(t, err, order.ErrUnknown)
		k.faults.Before(ordertest.Create, nil)
		k.pass(25 * time.Hour)
		require.NoError(t, k.settle(t))
		calls := 0
		for _, s := range k.faults.Calls() {
			if s == ordertest.Charge {
				calls++
			}
		}
		assert.Equal(t, 1, calls, "so many times it was charged for: now, it would be a new charge")
		assert.Equal(t, 9, k.teas(t))
		assert.Len(t, k.log.errors(), 1, "a human is told")
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(0)), "and the webhook brings the money back")
		assert.Zero(t, k.money())
	})
}

// TestUndo: an order has failed, and undoing it has, too.
func TestUndo(t *testing.T) {
	for _, row := range []struct {
		name   string
		broken []ordertest.Step
		again  bool // the customer asks again, before the loop
	}{
		{"the_loop_refunds", []ordertest.Step{ordertest.Refund}, false},
		{"the_loop_releases", []ordertest.Step{ordertest.Release}, false},
		{"the_loop_refunds_and_releases", []ordertest.Step{ordertest.Refund, ordertest.Release}, false},
		{"a_customer_who_asks_again_pays_once_though_the_refund_failed", []ordertest.Step{ordertest.Refund}, true},
		{"a_customer_who_asks_again_pays_once_though_the_release_failed", []ordertest.Step{ordertest.Release}, true},
		{"a_customer_who_asks_again_pays_once_though_both_failed", []ordertest.Step{ordertest.Refund, ordertest.Release}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			k := newKitchen(t)
			k.faults.Before(ordertest.Create, down)
			for _, s := range row.broken {
				k.faults.Before(s, down)
			}
			_, err := tea(t.Context(), k.Service, "k")
			require.Error(t, err)
			k.faults.Before(ordertest.Create, nil)
			_, err = tea(t.Context(), k.Service, "k")
			require.ErrorIs(t, err, order.ErrUnavailable, "as long as it cannot be undone, it is not placed anew")
			for _, s := range row.broken {
				k.faults.Before(s, nil)
			}
			want, teas := int64(0), 9
			if row.again {
				o, err := tea(t.Context(), k.Service, "k")
				require.NoError(t, err)
				assert.True(t, strings.HasSuffix(o.ID, "-2"), o.ID)
				want, teas = twoTeas, 7
			} else {
				require.NoError(t, k.settle(t))
			}
			assert.Equal(t, want, k.money())
			assert.Equal(t, teas, k.teas(t))
			assert.Empty(t, k.Left())
		})
	}

	t.Run("a_new_process_does_not_sell_what_was_paid_back", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, down)
		k.faults.Before(ordertest.Release, down)
		_, err := tea(t.Context(), k.Service, "k")
		require.Error(t, err)
		k.faults.Before(ordertest.Create, nil)
		k.faults.Before(ordertest.Release, nil)
		_, err = tea(t.Context(), k.start(t, k.config), "k")
		require.NoError(t, err)
		assert.Equal(t, 7, k.teas(t))
		assert.EqualValues(t, twoTeas, k.money(), "who takes a charge for paid that was paid back cooks for nothing")
	})

	t.Run("the_loop_undoes_no_order_that_another_replica_has_placed_since", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, down)
		k.faults.Before(ordertest.Release, down)
		_, err := tea(t.Context(), k.Service, "k")
		require.Error(t, err)
		k.faults.Before(ordertest.Create, nil)
		k.faults.Before(ordertest.Release, nil)
		o, err := tea(t.Context(), k.start(t, k.config), "k")
		require.NoError(t, err)
		require.NoError(t, k.settle(t))
		assert.Equal(t, order.Paid, k.state(t, o.ID))
		assert.Equal(t, 7, k.teas(t))
		assert.EqualValues(t, twoTeas, k.money())
		assert.Empty(t, k.Left())
	})

	t.Run("close_tries_once_more", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, down)
		k.faults.Before(ordertest.Refund, down)
		_, err := tea(t.Context(), k.Service, "k")
		require.Error(t, err)
		k.faults.Before(ordertest.Refund, nil)
		require.NoError(t, k.Close(t.Context()))
		assert.Zero(t, k.money())
	})

	t.Run("close_says_what_it_leaves", func(t *testing.T) {
		k := newKitchen(t)
		k.faults.Before(ordertest.Create, down)
		k.faults.Before(ordertest.Refund, down)
		_, err := tea(t.Context(), k.Service, "k")
		require.Error(t, err)
		require.ErrorIs(t, k.Close(t.Context()), order.ErrUnavailable)
		require.Len(t, k.log.errors(), 1)
		assert.Contains(t, k.log.errors()[0], k.payments.Book()[0].ID)
	})
}

// pending returns an order whose charge was done, and whose answer was lost.
func pending(t *testing.T, k *kitchen, key string) order.Order {
	t.Helper()
	k.faults.After(ordertest.Charge, lost)
	o, err := tea(t.Context(), k.Service, key)
	require.NoError(t, err)
	require.Equal(t, order.Pending, o.State)
	k.faults.After(ordertest.Charge, nil)
	return o
}

func TestSettle(t *testing.T) {
	t.Run("leaves_alone_what_is_younger_than_the_interval", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		k.pass(interval - time.Second)
		require.NoError(t, k.Settle(t.Context()))
		assert.Equal(t, order.Pending, k.state(t, o.ID))
		k.pass(time.Second)
		require.NoError(t, k.Settle(t.Context()))
		assert.Equal(t, order.Paid, k.state(t, o.ID))
	})

	for name, fault := range map[string]func(context.Context) error{"unknown": lost, "unavailable": down, "something_else": func(context.Context) error { return errors.New("broken") }} {
		t.Run("an_answer_that_is_"+name+"_settles_nothing", func(t *testing.T) {
			k := newKitchen(t)
			o := pending(t, k, "k")
			k.faults.Before(ordertest.Charge, fault)
			require.Error(t, k.settle(t))
			assert.Equal(t, order.Pending, k.state(t, o.ID))
			assert.Equal(t, 7, k.teas(t), "it may be paid, so it stays reserved")
		})
	}

	t.Run("asks_about_more_than_a_page", func(t *testing.T) {
		k := newKitchen(t)
		for i := range 250 {
			id := fmt.Sprint("order", i)
			require.NoError(t, k.orders.Create(t.Context(), order.Order{
				ID: id, Customer: "ada", State: order.Pending, Version: 1, Method: "pm_card_visa",
				Totals: order.Totals{Total: order.Money{Amount: 100, Currency: "EUR"}}, Created: epoch, Updated: epoch,
			}))
		}
		require.NoError(t, k.settle(t))
		left, err := k.orders.List(t.Context(), order.Query{State: order.Pending, Limit: 1000})
		require.NoError(t, err)
		assert.Empty(t, left)
	})

	t.Run("one_that_fails_does_not_keep_others_from_being_settled", func(t *testing.T) {
		k := newKitchen(t)
		one, two := pending(t, k, "k"), pending(t, k, "l")
		failed := false
		k.faults.Before(ordertest.Charge, func(context.Context) error {
			if !failed {
				failed = true
				return down(nil)
			}
			return nil
		})
		require.ErrorIs(t, k.settle(t), order.ErrUnavailable)
		assert.ElementsMatch(t, []order.State{order.Pending, order.Paid}, []order.State{k.state(t, one.ID), k.state(t, two.ID)})
	})

	for _, row := range []struct {
		name string
		set  func(t *testing.T, k *kitchen)
	}{
		{"too_old", func(_ *testing.T, k *kitchen) { k.pass(24 * time.Hour) }},
		{"another_charge_by_its_key", func(_ *testing.T, k *kitchen) {
			k.faults.Before(ordertest.Charge, func(context.Context) error { return order.ErrConflict })
		}},
	} {
		t.Run("sets_aside_what_is_"+row.name, func(t *testing.T) {
			k := newKitchen(t)
			o := pending(t, k, "k")
			row.set(t, k)
			before := len(k.faults.Calls())
			for range 3 {
				require.NoError(t, k.settle(t), "nothing is gained by asking more often")
			}
			if row.name == "too_old" {
				assert.NotContains(t, k.faults.Calls()[before:], ordertest.Charge, "its key may be forgotten, and this would be a new charge")
			}
			assert.Equal(t, order.Pending, k.state(t, o.ID))
			require.Len(t, k.log.errors(), 1, "a human is told, once")
			assert.Contains(t, k.log.errors()[0], o.ID)
		})
	}

	t.Run("the_loop_settles_by_itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKitchen(t)
			k.config.Now = nil
			k.faults.After(ordertest.Charge, lost)
			s := k.start(t, k.config)
			o, err := tea(t.Context(), s, "k")
			require.NoError(t, err)
			time.Sleep(3 * interval)
			assert.Equal(t, order.Pending, k.state(t, o.ID))
			k.faults.After(ordertest.Charge, nil)
			time.Sleep(16 * interval)
			assert.Equal(t, order.Paid, k.state(t, o.ID))
			require.NoError(t, s.Close(t.Context()))
			require.NoError(t, k.Close(t.Context()))
			calls := len(k.faults.Calls())
			time.Sleep(time.Hour)
			assert.Len(t, k.faults.Calls(), calls, "after Close, the loop has ended")
		})
	})

	t.Run("the_loop_comes_less_often_while_it_is_no_use", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKitchen(t)
			require.NoError(t, k.Close(t.Context()))
			k.config.Now = nil
			k.faults.Before(ordertest.List, down)
			s := k.start(t, k.config)
			time.Sleep(160 * interval)
			failed := len(k.faults.Calls())
			assert.Less(t, failed, 50, "calls in the time of 160 intervals, two each time")
			k.faults.Before(ordertest.List, nil)
			time.Sleep(160 * interval)
			assert.Greater(t, len(k.faults.Calls())-failed, 250, "calls in the time of 160 intervals, when all is well again")
			require.NoError(t, s.Close(t.Context()))
		})
	})
}

func TestSettlePayment(t *testing.T) {
	t.Run("settles_what_is_too_old_to_be_asked_about", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		k.pass(48 * time.Hour)
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(0)))
		assert.Equal(t, order.Paid, k.state(t, o.ID))
	})

	t.Run("cancels_what_failed_and_is_too_old_to_be_asked_about", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		k.pass(48 * time.Hour)
		require.NoError(t, k.SettlePayment(t.Context(), ordering.Payment{ID: "pi_1", Order: o.ID, At: epoch}))
		assert.Equal(t, order.Cancelled, k.state(t, o.ID))
		assert.Equal(t, 9, k.teas(t))
	})

	t.Run("a_failure_that_is_told_late_undoes_nothing", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		require.NoError(t, k.SettlePayment(t.Context(), ordering.Payment{ID: o.Payment, Order: o.ID, At: epoch}))
		assert.Equal(t, order.Paid, k.state(t, o.ID))
	})

	t.Run("another_amount_is_for_a_human", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		k.pass(48 * time.Hour)
		p := k.paid(0)
		p.Amount.Amount--
		require.NoError(t, k.SettlePayment(t.Context(), p))
		assert.Equal(t, order.Pending, k.state(t, o.ID))
		assert.Len(t, k.log.errors(), 1)
	})

	t.Run("a_second_payment_is_paid_back", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		_, err = k.payments.Charge(t.Context(), order.Charge{Key: "by hand", Order: o.ID, Amount: o.Totals.Total, Method: "pm_card_visa"})
		require.NoError(t, err)
		require.EqualValues(t, 2*twoTeas, k.money())
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(1)))
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(0)))
		assert.False(t, k.payments.Book()[0].Refunded)
		assert.True(t, k.payments.Book()[1].Refunded)
	})

	t.Run("a_payment_whose_order_may_come_yet_is_to_be_told_again", func(t *testing.T) {
		k := newKitchen(t)
		_, err := k.payments.Charge(t.Context(), order.Charge{Key: "charge-x", Order: "x", Amount: order.Money{Amount: 100, Currency: "EUR"}, Method: "pm_card_visa"})
		require.NoError(t, err)
		k.pass(time.Minute)
		require.ErrorIs(t, k.SettlePayment(t.Context(), k.paid(0)), order.ErrNotFound)
		assert.EqualValues(t, 100, k.money())
	})

	t.Run("a_payment_whose_order_never_came_is_paid_back", func(t *testing.T) {
		k := newKitchen(t)
		require.NoError(t, k.stock.Reserve(t.Context(), "x", []order.Item{{Dish: "tea", Quantity: 2}}))
		_, err := k.payments.Charge(t.Context(), order.Charge{Key: "charge-x", Order: "x", Amount: order.Money{Amount: 100, Currency: "EUR"}, Method: "pm_card_visa"})
		require.NoError(t, err)
		k.pass(time.Hour)
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(0)))
		assert.Zero(t, k.money())
		assert.Equal(t, 9, k.teas(t))
		require.ErrorIs(t, k.stock.Reserve(t.Context(), "x", nil), order.ErrConflict, "its ID is used up: no order comes about that is not paid any more")
	})

	t.Run("waits_for_the_order_that_is_being_placed", func(t *testing.T) {
		k := newKitchen(t)
		told := make(chan error, 1)
		k.faults.After(ordertest.Charge, func(context.Context) error {
			p := k.paid(0)
			go func() { told <- k.SettlePayment(context.Background(), p) }()
			return nil
		})
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		require.NoError(t, <-told, "the webhook comes before the order is saved")
		assert.Equal(t, order.Paid, k.state(t, o.ID))
	})

	t.Run("an_order_that_another_replica_undid_is_cancelled", func(t *testing.T) {
		k := newKitchen(t)
		other := k.start(t, k.config)
		failing := false
		k.faults.Before(ordertest.Charge, func(context.Context) error {
			if failing {
				return down(nil)
			}
			failing = true // from now on, for the other one
			_, err := tea(context.Background(), other, "k")
			assert.ErrorIs(t, err, order.ErrUnavailable)
			return nil
		})
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State)
		require.Equal(t, 9, k.teas(t), "the other one has put its dishes back")
		require.NoError(t, k.SettlePayment(t.Context(), k.paid(0)))
		assert.Equal(t, order.Cancelled, k.state(t, o.ID))
		assert.Zero(t, k.money())
	})
}

func TestCancel(t *testing.T) {
	placed := func(t *testing.T, k *kitchen) order.Order {
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		return o
	}

	t.Run("says_so_before_it_pays_back", func(t *testing.T) {
		k := newKitchen(t)
		o := placed(t, k)
		for _, s := range []ordertest.Step{ordertest.Refund, ordertest.Release} {
			k.faults.Before(s, func(context.Context) error {
				assert.Equal(t, order.Cancelling, k.state(t, o.ID), "at %s: who dies here must be found again, and no kitchen may begin", s)
				return nil
			})
		}
		_, err := k.Cancel(t.Context(), "ada", o.ID)
		require.NoError(t, err)
	})

	for _, s := range []ordertest.Step{ordertest.Refund, ordertest.Release} {
		for name, fault := range map[string]func(*ordertest.Faults, func(context.Context) error){"fails": func(f *ordertest.Faults, h func(context.Context) error) { f.Before(s, h) }, "gives_no_answer": func(f *ordertest.Faults, h func(context.Context) error) { f.After(s, h) }} {
			t.Run(fmt.Sprintf("is_finished_later_when_%s_%s", s, name), func(t *testing.T) {
				k := newKitchen(t)
				o := placed(t, k)
				fault(k.faults, lost)
				got, err := k.Cancel(t.Context(), "ada", o.ID)
				require.NoError(t, err)
				assert.Equal(t, order.Cancelling, got.State)
				require.Error(t, k.settle(t))
				assert.Equal(t, order.Cancelling, k.state(t, o.ID))
				fault(k.faults, nil)
				require.NoError(t, k.start(t, k.config).Settle(t.Context()), "by another process, too")
				assert.Equal(t, order.Cancelled, k.state(t, o.ID))
				assert.Zero(t, k.money())
				assert.Equal(t, 9, k.teas(t))
			})
		}
	}

	t.Run("of_the_kitchen_and_the_customer_one_wins", func(t *testing.T) {
		k := newKitchen(t)
		o := placed(t, k)
		k.faults.Before(ordertest.Update, func(context.Context) error {
			k.faults.Before(ordertest.Update, nil)
			_, err := k.Advance(context.Background(), o.ID, order.Preparing)
			assert.NoError(t, err)
			return nil
		})
		_, err := k.Cancel(t.Context(), "ada", o.ID)
		var refused *order.StateError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, order.Preparing, refused.From)
		assert.EqualValues(t, twoTeas, k.money(), "what is cooked is not paid back")
	})

	t.Run("waits_until_it_is_known_whether_it_was_paid", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		k.faults.Before(ordertest.Charge, lost)
		_, err := k.Cancel(t.Context(), "ada", o.ID)
		require.ErrorIs(t, err, order.ErrState)
		k.faults.Before(ordertest.Charge, nil)
		o, err = k.Cancel(t.Context(), "ada", o.ID)
		require.NoError(t, err)
		assert.Equal(t, order.Cancelled, o.State)
		assert.Zero(t, k.money())
		assert.Equal(t, 9, k.teas(t))
	})

	t.Run("what_cannot_be_paid_back_is_never_called_cancelled", func(t *testing.T) {
		k := newKitchen(t)
		o := placed(t, k)
		k.faults.Before(ordertest.Refund, func(context.Context) error { return order.ErrNotFound })
		for range 3 {
			got, err := k.Cancel(t.Context(), "ada", o.ID)
			require.NoError(t, err)
			assert.Equal(t, order.Cancelling, got.State)
		}
		assert.Equal(t, 9, k.teas(t))
		assert.Len(t, k.log.errors(), 1, "a human is told, once")
	})

	t.Run("an_update_whose_answer_is_lost_was_done", func(t *testing.T) {
		k := newKitchen(t)
		o := placed(t, k)
		k.faults.After(ordertest.Update, lost)
		o, err := k.Cancel(t.Context(), "ada", o.ID)
		require.NoError(t, err)
		assert.Equal(t, order.Cancelled, o.State)
	})

	t.Run("not_twice", func(t *testing.T) {
		k := newKitchen(t)
		o := placed(t, k)
		_, err := k.Cancel(t.Context(), "ada", o.ID)
		require.NoError(t, err)
		_, err = k.Cancel(t.Context(), "ada", o.ID)
		require.ErrorIs(t, err, order.ErrState)
	})
}

func TestAdvance(t *testing.T) {
	t.Run("goes_on_step_by_step", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k")
		require.NoError(t, err)
		for _, to := range []order.State{order.Preparing, order.Dispatched, order.Delivered} {
			o, err = k.Advance(t.Context(), o.ID, to)
			require.NoError(t, err)
			assert.Equal(t, to, o.State)
		}
	})

	t.Run("takes_no_step_that_is_not_the_kitchens", func(t *testing.T) {
		k := newKitchen(t)
		o := pending(t, k, "k")
		for _, to := range []order.State{order.Paid, order.Cancelling, order.Cancelled, order.Pending, "burnt", order.Preparing} {
			_, err := k.Advance(t.Context(), o.ID, to)
			require.ErrorIs(t, err, order.ErrState, "to %s", to)
		}
		assert.Equal(t, order.Pending, k.state(t, o.ID))
	})

	t.Run("finds_no_order_that_is_not_there", func(t *testing.T) {
		_, err := newKitchen(t).Advance(t.Context(), "x", order.Preparing)
		require.ErrorIs(t, err, order.ErrNotFound)
	})
}

func TestList(t *testing.T) {
	k := newKitchen(t)
	for _, key := range []string{"k", "l"} {
		_, err := tea(t.Context(), k.Service, key)
		require.NoError(t, err)
	}
	for limit, want := range map[int]int{1: 1, 101: 2} {
		page, err := k.List(t.Context(), order.Query{Customer: "ada", Limit: limit})
		require.NoError(t, err)
		assert.Len(t, page, want)
	}
	for _, limit := range []int{0, -1, 102} {
		_, err := k.List(t.Context(), order.Query{Limit: limit})
		require.ErrorIs(t, err, order.ErrInvalid, "a limit of %d", limit)
	}
}

func TestMail(t *testing.T) {
	// run places an order in a bubble, with a mailer that answers by answers, and has an
	// hour pass. It returns how often the mailer was called.
	run := func(t *testing.T, answers ...error) (calls int, k *kitchen) {
		synctest.Test(t, func(t *testing.T) {
			k = newKitchen(t)
			k.config.Mailer = mailer(func(context.Context, order.Mail) (err error) {
				if calls++; calls <= len(answers) {
					err = answers[calls-1]
				}
				return err
			})
			k.config.Recipient = func(customer string) string { return customer + "@example.com" }
			s := k.start(t, k.config)
			_, err := tea(t.Context(), s, "k")
			require.NoError(t, err)
			time.Sleep(time.Hour)
			require.NoError(t, s.Close(t.Context()))
			require.NoError(t, k.Close(t.Context()))
		})
		return calls, k
	}
	away, dark := down(nil), lost(nil)

	t.Run("is_tried_again_when_it_could_not_be_sent", func(t *testing.T) {
		calls, k := run(t, away, away)
		assert.Equal(t, 3, calls)
		assert.Empty(t, k.log.errors())
	})
	t.Run("is_given_up_after_three_attempts", func(t *testing.T) {
		calls, k := run(t, away, away, away)
		assert.Equal(t, 3, calls)
		assert.Len(t, k.log.errors(), 1)
	})
	t.Run("is_not_tried_again_when_it_may_have_been_sent", func(t *testing.T) {
		calls, k := run(t, dark)
		assert.Equal(t, 1, calls, "nobody wants two")
		assert.Len(t, k.log.errors(), 1)
	})

	t.Run("is_never_waited_for", func(t *testing.T) {
		k := newKitchen(t)
		k.config.Mailer = mailer(func(ctx context.Context, _ order.Mail) error { <-ctx.Done(); return ctx.Err() })
		k.config.Recipient = func(customer string) string { return customer + "@example.com" }
		k.config.Queue = 1
		s := k.start(t, k.config)
		for i := range 4 {
			_, err := tea(t.Context(), s, fmt.Sprint(i), func(r *order.Request) { r.Items[0].Quantity = 1 })
			require.NoError(t, err)
		}
		assert.NotEmpty(t, k.log.errors(), "one is under way, one waits, and the others are dropped, and logged")
		require.ErrorContains(t, s.Close(gone()), "not sent", "Close gives up when its context is done, and says so")
	})

	t.Run("waits_are_sent_by_close", func(t *testing.T) {
		k := newKitchen(t)
		inbox := memory.NewMailer()
		goOn := make(chan struct{})
		k.config.Mailer = mailer(func(ctx context.Context, m order.Mail) error { <-goOn; return inbox.Send(ctx, m) })
		k.config.Recipient = func(customer string) string { return customer + "@example.com" }
		s := k.start(t, k.config)
		for i := range 3 {
			_, err := tea(t.Context(), s, fmt.Sprint(i))
			require.NoError(t, err)
		}
		close(goOn)
		require.NoError(t, s.Close(t.Context()))
		sent := inbox.Sent()
		require.Len(t, sent, 3)
		assert.Equal(t, "ada@example.com", sent[0].To)
		assert.Contains(t, sent[0].Text, "6.20 EUR")
	})

	t.Run("is_not_sent_to_nobody", func(t *testing.T) {
		k := newKitchen(t)
		inbox := memory.NewMailer()
		k.config.Mailer, k.config.Recipient = inbox, func(string) string { return "" }
		s := k.start(t, k.config)
		_, err := tea(t.Context(), s, "k")
		require.NoError(t, err)
		require.NoError(t, s.Close(t.Context()))
		assert.Empty(t, inbox.Sent())
		assert.Empty(t, k.log.errors())
	})
}

func TestParsePayment(t *testing.T) {
	intent := json.RawMessage(`{"id":"pi_1","object":"payment_intent","amount":620,"currency":"eur","metadata":{"order":"x","key":"charge-x"}}`)
	for _, row := range []struct {
		name, kind string
		object     json.RawMessage
		paid, ours bool
		broken     bool
	}{
		{"succeeded", "payment_intent.succeeded", intent, true, true, false},
		{"failed", "payment_intent.payment_failed", intent, false, true, false},
		{"canceled", "payment_intent.canceled", intent, false, true, false},
		{"of_another_kind", "charge.refunded", intent, false, false, false},
		{"for_no_order", "payment_intent.succeeded", json.RawMessage(`{"id":"pi_1","amount":620,"currency":"eur","metadata":{}}`), false, false, false},
		{"no_object", "payment_intent.succeeded", json.RawMessage(`[]`), false, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, ours, err := ordering.ParsePayment(webhook.Event{ID: "evt_1", Type: row.kind, Created: epoch, Object: row.object})
			assert.Equal(t, row.broken, err != nil, "%v", err)
			assert.Equal(t, row.ours, ours)
			if ours {
				assert.Equal(t, ordering.Payment{ID: "pi_1", Order: "x", Amount: order.Money{Amount: 620, Currency: "EUR"}, Paid: row.paid, At: epoch}, p)
			}
		})
	}
}

type mailer func(context.Context, order.Mail) error

func (m mailer) Send(ctx context.Context, mail order.Mail) error { return m(ctx, mail) }

// capture has next see the first order that is created, and answer for it.
type capture struct {
	order.Orders
	once sync.Once
	next func(order.Order) error
}

func (c *capture) Create(ctx context.Context, o order.Order) error {
	first := false
	c.once.Do(func() { first = true })
	if first {
		return c.next(o)
	}
	return c.Orders.Create(ctx, o)
}

// dear is a menu of tea whose price changes.
type dear struct{ price int64 }

func (d *dear) Dishes(context.Context) ([]order.Dish, error) {
	return []order.Dish{{ID: "tea", Name: "Green tea", Price: order.Money{Amount: d.price, Currency: "EUR"}}}, nil
}
