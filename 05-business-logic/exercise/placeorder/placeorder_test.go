package placeorder_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/exercise/placeorder"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
)

// TestPlace has the good day, and the two days that end before anybody paid.
func TestPlace(t *testing.T) {
	t.Run("prices_what_is_ordered_from_the_menu", func(t *testing.T) {
		r := newRestaurant()
		o := r.placed(t, request)
		assert.Equal(t, lines, o.Lines, "Place for 2 ramen: the order's Lines are what price returned for the items of the request and the dishes of the menu")
		assert.Equal(t, totals, o.Totals, "Place for 2 ramen: the order's Totals are what price returned")
	})

	t.Run("takes_the_dishes_out_of_the_stock", func(t *testing.T) {
		r := newRestaurant()
		r.placed(t, request)
		assert.Equal(t, 3, r.left(t), "Place for 2 ramen, of which there were 5: so many are left. Reserve takes them out")
	})

	t.Run("charges_the_total_once", func(t *testing.T) {
		r := newRestaurant()
		r.placed(t, request)
		require.Equal(t, []order.Charge{{Key: "charge-order-1", Order: "order-1", Amount: totals.Total, Method: "pm_card_visa"}}, r.charges(), "Place for 2 ramen charges the order's Total, once, by o.Charge(): whoever asks later what became of it asks by the same key")
	})

	t.Run("keeps_the_order", func(t *testing.T) {
		r := newRestaurant()
		o := r.placed(t, request)
		kept, err := r.Orders.Get(context.Background(), "order-1")
		require.NoError(t, err, "Place returned no error, but the order is not kept. Orders.Create saves it")
		assert.Equal(t, kept, o, "Place returned another order than the one that is kept")
	})

	t.Run("a_paid_order_has_its_payment", func(t *testing.T) {
		r := newRestaurant()
		o := r.placed(t, request)
		require.Len(t, r.payments.Book(), 1, "Place for 2 ramen charges once")
		assert.Equal(t, order.Paid, o.State, "Place, and the charge succeeded: the order's State")
		assert.Equal(t, r.payments.Book()[0].ID, o.Payment, "Place, and the charge succeeded: the order's Payment is what Charge returned, since a refund needs it")
	})

	t.Run("charges_nobody_for_what_is_sold_out", func(t *testing.T) {
		r := newRestaurant()
		err := r.refused(t, order.ErrSoldOut, with(order.Item{Dish: "ramen", Quantity: 6}), "Place for 6 ramen, of which there are 5")
		assert.Empty(t, r.charges(), "Place for 6 ramen, of which there are 5, returned %v, but the customer was charged. Reserve first: dishes are put back in a moment, money takes days", err)
	})

	t.Run("keeps_no_order_that_was_not_paid", func(t *testing.T) {
		r := newRestaurant()
		declined := request
		declined.Method = memory.Declined
		created := false
		r.faults.Before(ordertest.Create, func(context.Context) error { created = true; return nil })
		r.refused(t, order.ErrDeclined, declined, "Place with a card that is declined")
		assert.False(t, created, "Place with a card that is declined has saved the order: for a moment, the kitchen saw an order that nobody paid for. Charge first, and save then")
	})
}

// TestStepFails goes through all steps, and through all ways in which each can
// fail. Whichever it is: the stock, the money and the orders are as before.
func TestStepFails(t *testing.T) {
	broken := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	for _, test := range []struct {
		name    string
		fault   func(*restaurant)
		request order.Request
		want    error
		what    string
	}{
		{"the_price_cannot_be_told", nil, with(order.Item{Dish: "pizza", Quantity: 1}), order.ErrInvalid, "pizza is not on the menu"},
		{"the_menu_cannot_be_read", func(r *restaurant) {
			r.faults.Before(ordertest.Dishes, broken(order.ErrUnavailable))
		}, request, order.ErrUnavailable, "the menu cannot be read"},
		{"it_cannot_be_told_whether_the_order_is_there", func(r *restaurant) {
			r.faults.Before(ordertest.Get, broken(order.ErrUnavailable))
		}, request, order.ErrUnavailable, "Orders.Get failed, so nobody knows whether the order is there already"},
		{"a_dish_is_sold_out", nil, with(order.Item{Dish: "tea", Quantity: 1}, order.Item{Dish: "ramen", Quantity: 6}), order.ErrSoldOut, "there is 1 tea, and there are 5 ramen, not 6"},
		{"the_stock_cannot_be_reached", func(r *restaurant) {
			r.faults.Before(ordertest.Reserve, broken(order.ErrUnavailable))
		}, request, order.ErrUnavailable, "the stock cannot be reached"},
		{"the_answer_to_the_reservation_is_lost", func(r *restaurant) {
			r.faults.After(ordertest.Reserve, broken(errors.New("connection reset")))
		}, request, nil, "Reserve took the dishes, and its answer was lost: it returned an error. Release is safe for what was never reserved, so release whenever Reserve has failed"},
		{"the_reservation_was_done_by_an_attempt_before_the_one_that_failed", func(r *restaurant) {
			r.faults.After(ordertest.Reserve, broken(fmt.Errorf("attempt 2: dial: %w", order.ErrUnavailable)))
		}, request, order.ErrUnavailable, "Reserve's first attempt took the dishes, and its answer was lost; the second one could not be sent, so it returned ErrUnavailable. That speaks of one call, and not of what is reserved (see order.Stock): only ErrSoldOut and ErrConflict say for sure that nothing is, so release whenever Reserve has failed otherwise"},
		{"the_card_is_declined", nil, paidBy(memory.Declined), order.ErrDeclined, "the card is declined"},
		{"the_payment_provider_cannot_be_reached", func(r *restaurant) {
			r.faults.Before(ordertest.Charge, broken(order.ErrUnavailable))
		}, request, order.ErrUnavailable, "Charge returned ErrUnavailable: it was not sent"},
		{"the_payment_provider_finds_fault_with_the_charge", func(r *restaurant) {
			r.faults.Before(ordertest.Charge, broken(&order.InvalidError{Field: "method", What: "no such method"}))
		}, request, order.ErrInvalid, "Charge returned an InvalidError: nothing was collected"},
		{"the_order_cannot_be_saved", func(r *restaurant) {
			r.faults.Before(ordertest.Create, broken(order.ErrUnavailable))
		}, request, order.ErrUnavailable, "the charge succeeded, and Create failed: refund, and release"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			if test.fault != nil {
				test.fault(r)
			}
			r.refused(t, test.want, test.request, "Place, and "+test.what)
			r.asBefore(t, "Place, and "+test.what)
		})
	}

	t.Run("the_error_says_which_of_the_customers_lines_is_wrong", func(t *testing.T) {
		r := newRestaurant()
		err := r.refused(t, order.ErrInvalid, with(order.Item{Dish: "pizza", Quantity: 1}), "Place for pizza, which is not on the menu")
		var invalid *order.InvalidError
		require.ErrorAs(t, err, &invalid, "Place for pizza: the *order.InvalidError of price must be found in what Place returned, so that the customer reads what is wrong. Wrap it with %w")
	})
}

// TestClientLeft has the caller's context end at each step.
func TestClientLeft(t *testing.T) {
	for _, test := range []struct {
		name string
		gate func(f *ordertest.Faults, leave func(context.Context) error)
		when string
	}{
		{"before_the_menu_was_read", func(f *ordertest.Faults, leave func(context.Context) error) { f.Before(ordertest.Dishes, leave) }, "before the menu was read"},
		{"before_anything_was_reserved", func(f *ordertest.Faults, leave func(context.Context) error) { f.Before(ordertest.Reserve, leave) }, "before anything was reserved"},
		{"when_the_dishes_were_reserved", func(f *ordertest.Faults, leave func(context.Context) error) { f.After(ordertest.Reserve, leave) }, "when the dishes were reserved"},
		{"before_the_charge_was_sent", func(f *ordertest.Faults, leave func(context.Context) error) { f.Before(ordertest.Charge, leave) }, "before the charge was sent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			test.gate(r.faults, func(context.Context) error { cancel(); return nil })
			what := "Place, and the client left " + test.when
			_, err := r.place(t, ctx, request)
			require.ErrorIs(t, err, context.Canceled, "%s: the calls that follow fail by its context, and so does Place", what)
			r.asBefore(t, what+" (a call with a context that is done does nothing, so whatever undoes needs another: context.WithoutCancel)")
		})
	}

	t.Run("when_it_was_charged_the_order_is_kept", func(t *testing.T) {
		r := newRestaurant()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.faults.After(ordertest.Charge, func(context.Context) error { cancel(); return nil })
		o, err := r.place(t, ctx, request)
		require.NoError(t, err, "Place, and the client left when it was charged: its order is paid, so it is saved all the same, with a context that outlives the client's (detached)")
		assert.Equal(t, order.Paid, o.State, "Place, and the client left when it was charged: the order's State")
		r.consistent(t, "Place, and the client left when it was charged")
	})

	t.Run("when_it_was_charged_and_the_order_cannot_be_saved", func(t *testing.T) {
		r := newRestaurant()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.faults.Before(ordertest.Create, func(context.Context) error { cancel(); return order.ErrUnavailable })
		_, err := r.place(t, ctx, request)
		require.ErrorIs(t, err, order.ErrUnavailable, "Place, and the client left when it was charged, and Create failed")
		r.asBefore(t, "Place, and the client left when it was charged, and Create failed (what undoes must not use the client's context: it is done)")
	})
}

// TestUnknown has charges and saves of which nobody knows whether they were done.
func TestUnknown(t *testing.T) {
	lost := fmt.Errorf("read: connection reset: %w", order.ErrUnknown)
	for _, test := range []struct {
		name  string
		fault func(f *ordertest.Faults)
		what  string
	}{
		{"a_charge_whose_answer_is_lost_makes_a_pending_order", func(f *ordertest.Faults) {
			f.After(ordertest.Charge, func(context.Context) error { return lost })
		}, "Charge collected the money, and its answer was lost (ErrUnknown)"},
		{"a_charge_that_was_lost_on_its_way_makes_a_pending_order_too", func(f *ordertest.Faults) {
			f.Before(ordertest.Charge, func(context.Context) error { return lost })
		}, "Charge was lost on its way (ErrUnknown), which looks the same from here as a lost answer"},
		{"a_charge_that_timed_out_makes_a_pending_order", func(f *ordertest.Faults) {
			f.After(ordertest.Charge, func(context.Context) error {
				return fmt.Errorf("await response: %w", context.DeadlineExceeded)
			})
		}, "Charge timed out (context.DeadlineExceeded), which does not say that nothing was collected. Only ErrDeclined, ErrUnavailable and ErrInvalid do"},
		{"unknown_outweighs_what_else_the_error_says", func(f *ordertest.Faults) {
			f.After(ordertest.Charge, func(context.Context) error {
				return fmt.Errorf("attempt 1: %w, attempt 2: %w", order.ErrUnknown, order.ErrUnavailable)
			})
		}, "Charge's first attempt had no answer, and its second one could not be sent (an error that is ErrUnknown, and ErrUnavailable as well)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			test.fault(r.faults)
			r.pending(t, context.Background(), test.what)
		})
	}

	t.Run("the_dishes_of_a_pending_order_stay_reserved", func(t *testing.T) {
		r := newRestaurant()
		r.faults.After(ordertest.Charge, func(context.Context) error { return lost })
		r.place(t, context.Background(), request)
		assert.Equal(t, 3, r.left(t), "Place for 2 of 5 ramen, and the answer to the charge was lost: so many are left. If the money was collected, the customer wants them")
	})

	t.Run("a_pending_order_is_not_refunded", func(t *testing.T) {
		r := newRestaurant()
		r.faults.After(ordertest.Charge, func(context.Context) error { return lost })
		o, err := r.place(t, context.Background(), request)
		require.NotEmpty(t, o.ID, "Place, and the answer to the charge was lost: the order is saved as Pending, and returned (error %v)", err)
		assert.NotContains(t, r.faults.Calls(), ordertest.Refund, "Place, and the answer to the charge was lost: the order is pending, and will be settled later. A refund now would pay back what the order then counts as paid")
	})

	t.Run("a_client_that_left_during_the_charge_has_a_pending_order", func(t *testing.T) {
		r := newRestaurant()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.faults.After(ordertest.Charge, func(ctx context.Context) error {
			cancel()
			return fmt.Errorf("%w: %w", order.ErrUnknown, context.Canceled)
		})
		r.pending(t, ctx, "the client left while the charge was under way: its answer is lost (ErrUnknown), and the context is done. Save with one that is not, or nobody will ask what became of the money")
	})

	for _, test := range []struct {
		name  string
		fault func(f *ordertest.Faults)
		what  string
	}{
		{"a_save_whose_answer_is_lost_undoes_nothing", func(f *ordertest.Faults) {
			f.After(ordertest.Create, func(context.Context) error { return lost })
		}, "Create kept the order, and its answer was lost (ErrUnknown)"},
		{"a_save_that_was_lost_on_its_way_undoes_nothing", func(f *ordertest.Faults) {
			f.Before(ordertest.Create, func(context.Context) error { return lost })
		}, "Create was lost on its way (ErrUnknown), and may come yet"},
		{"a_pending_order_that_cannot_be_saved_undoes_nothing", func(f *ordertest.Faults) {
			f.After(ordertest.Charge, func(context.Context) error { return lost })
			f.Before(ordertest.Create, func(context.Context) error { return order.ErrUnavailable })
		}, "the answer to the charge was lost, and then Create failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			test.fault(r.faults)
			o, err := r.place(t, context.Background(), request)
			if o.ID == "" { // who found out by asking again knows more than is asked for
				require.ErrorIs(t, err, order.ErrUnknown, "Place, and %s: the outcome is unknown, and Place says so", test.what)
			}
			assert.Equal(t, 3, r.left(t), "Place for 2 of 5 ramen, and %s: so many are left. What is unknown is not undone: asking again with the same ID goes on where it stood", test.what)
			assert.EqualValues(t, 2975, r.money(), "Place, and %s: the customer has paid so many cents. What is unknown is not undone: asking again with the same ID goes on where it stood", test.what)
		})
	}
}

// TestUndo is about undoing itself.
func TestUndo(t *testing.T) {
	unsaved := errors.New("disk full")
	broken := errors.New("no route to host")
	failing := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}

	t.Run("a_refund_that_fails_keeps_no_dishes", func(t *testing.T) {
		r := newRestaurant()
		r.faults.Before(ordertest.Create, failing(unsaved))
		r.faults.Before(ordertest.Refund, failing(broken))
		r.refused(t, unsaved, request, "Place, and Create failed, and then the refund")
		assert.Equal(t, 5, r.left(t), "Place, and Create failed, and then the refund: the 2 ramen are released all the same. One part of undoing that fails must not stop the others")
	})

	t.Run("a_release_that_fails_keeps_no_money", func(t *testing.T) {
		r := newRestaurant()
		r.faults.Before(ordertest.Create, failing(unsaved))
		r.faults.Before(ordertest.Release, failing(broken))
		r.refused(t, unsaved, request, "Place, and Create failed, and then the release")
		assert.Zero(t, r.money(), "Place, and Create failed, and then the release: the cents that the customer has paid and not got back. One part of undoing that fails must not stop the others")
	})

	for _, test := range []struct {
		name string
		step ordertest.Step
	}{
		{"a_refund_that_fails_is_told", ordertest.Refund},
		{"a_release_that_fails_is_told", ordertest.Release},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			r.faults.Before(ordertest.Create, failing(unsaved))
			r.faults.Before(test.step, failing(broken))
			err := r.refused(t, unsaved, request, fmt.Sprintf("Place, and Create failed (%v), and then %s", unsaved, test.step))
			assert.ErrorIs(t, err, broken, "Place, and Create failed (%v), and then %s (%v): both errors are told, joined (errors.Join). What is not told is money or stock that nobody will look for", unsaved, test.step, broken)
		})
	}

	for _, test := range []struct {
		name string
		step ordertest.Step
	}{
		{"the_refund_has_a_deadline", ordertest.Refund},
		{"the_release_has_a_deadline", ordertest.Release},
		{"the_save_has_a_deadline", ordertest.Create},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestaurant()
			r.faults.Before(ordertest.Create, failing(unsaved))
			called, bounded := false, false
			r.faults.Before(test.step, func(ctx context.Context) error {
				called = true
				_, bounded = ctx.Deadline()
				if test.step == ordertest.Create {
					return unsaved
				}
				return nil
			})
			r.refused(t, unsaved, request, "Place, and Create failed")
			require.True(t, called, "Place, and Create failed: %s was not called", test.step)
			assert.True(t, bounded, "Place, and Create failed, and it called %s with a context that never ends (context.WithoutCancel takes the deadline away, too). A call that nothing ends keeps its goroutine for ever: context.WithTimeout, %v", test.step, placeorder.Patience)
		})
	}

	t.Run("what_has_returned_leaves_no_timer", func(t *testing.T) {
		r := newRestaurant()
		r.faults.Before(ordertest.Create, failing(unsaved))
		var released context.Context
		r.faults.Before(ordertest.Release, func(ctx context.Context) error { released = ctx; return nil })
		r.refused(t, unsaved, request, "Place, and Create failed")
		require.NotNil(t, released, "Place, and Create failed: %s was not called", ordertest.Release)
		assert.ErrorIs(t, released.Err(), context.Canceled, "Place, and Create failed: the context of Release, when Place has returned. It has to be over: its timer, and what hangs on it, would stay for all of %v otherwise, for each call. context.WithTimeout returns a cancel: defer it", placeorder.Patience)
	})

	t.Run("what_the_context_carries_is_kept", func(t *testing.T) {
		type key struct{}
		r := newRestaurant()
		r.faults.Before(ordertest.Create, failing(unsaved))
		var carried any
		r.faults.Before(ordertest.Release, func(ctx context.Context) error { carried = ctx.Value(key{}); return nil })
		_, err := r.place(t, context.WithValue(context.Background(), key{}, "request 17"), request)
		require.ErrorIs(t, err, unsaved, "Place, and Create failed")
		assert.Equal(t, "request 17", carried, "Place, and Create failed: the context of Release has the values of the caller's, by which logs and traces find together. context.WithoutCancel keeps them, context.Background has none")
	})

	t.Run("a_refund_that_hangs_keeps_no_dishes", func(t *testing.T) {
		require.False(t, stuck.Load(), "not tried: an earlier call of Place has not returned")
		synctest.Test(t, func(t *testing.T) {
			r := newRestaurant()
			over := make(chan struct{}) // time stands still in a bubble whose test is over
			t.Cleanup(func() { close(over) })
			r.faults.Before(ordertest.Create, failing(unsaved))
			r.faults.Before(ordertest.Refund, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-over:
					return broken
				}
			})
			err := r.refused(t, unsaved, request, "Place, and Create failed, and the refund hung until its context was done")
			assert.Equal(t, 5, r.left(t), "Place, and Create failed, and the refund hung until its context was done: the 2 ramen are released all the same. Give each call a deadline of its own, or the first one eats up the other's (error %v)", err)
		})
	})
}

// TestAgain asks again with the same ID: the double click.
func TestAgain(t *testing.T) {
	t.Run("the_same_ID_is_the_same_order", func(t *testing.T) {
		r := newRestaurant()
		first := r.placed(t, request)
		second := r.placed(t, request)
		assert.Equal(t, first, second, "Place, twice with the same ID: the second one returns the first one's order")
		r.consistent(t, "Place, twice with the same ID")
	})

	t.Run("it_is_the_order_as_it_stands_now", func(t *testing.T) {
		r := newRestaurant()
		o := r.placed(t, request)
		o.State = order.Cancelled
		o, err := r.Orders.Update(context.Background(), o)
		require.NoError(t, err)
		require.NoError(t, r.Stock.Release(context.Background(), o.ID))
		calls := len(r.faults.Calls())
		again, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and the order was cancelled, and Place again with the same ID: it returns the order. Calls: %v", r.faults.Calls()[calls:])
		assert.Equal(t, o, again, "Place, and the order was cancelled, and Place again with the same ID: it returns the order as it is kept now, and does nothing else")
	})

	t.Run("another_customers_order_is_not_shown", func(t *testing.T) {
		r := newRestaurant()
		r.placed(t, request)
		other := request
		other.Customer = "bob"
		o, err := r.place(t, context.Background(), other)
		require.ErrorIs(t, err, order.ErrExists, "Place by ada, and Place by bob with the same ID: it is taken")
		assert.Zero(t, o, "Place by ada, and Place by bob with the same ID: bob must not see ada's order")
	})

	t.Run("it_goes_on_where_the_outcome_was_unknown", func(t *testing.T) {
		r := newRestaurant()
		r.faults.Before(ordertest.Create, func(context.Context) error { return order.ErrUnknown })
		r.place(t, context.Background(), request)
		r.faults.Before(ordertest.Create, nil)
		o, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and nobody knows whether the order was saved (Create: ErrUnknown), and Place again with the same ID: nothing was undone the first time, so it goes on")
		assert.Equal(t, order.Paid, o.State, "Place, and nobody knows whether the order was saved, and Place again with the same ID: State")
		r.consistent(t, "Place, and nobody knows whether the order was saved, and Place again with the same ID")
	})

	t.Run("what_was_undone_stays_undone", func(t *testing.T) {
		r := newRestaurant()
		r.faults.Before(ordertest.Create, func(context.Context) error { return order.ErrUnavailable })
		r.refused(t, order.ErrUnavailable, request, "Place, and Create failed")
		r.faults.Before(ordertest.Create, nil)
		r.refused(t, order.ErrConflict, request, "Place, and it was undone, and Place again with the same ID: Charge would return the payment that was refunded, so the ID is used up (Reserve says so)")
		r.asBefore(t, "Place, and it was undone, and Place again with the same ID")
	})

	t.Run("two_at_once_make_one_order", func(t *testing.T) {
		r := newRestaurant()
		// Each waits, before it charges, until the other one is there, too: so both
		// have seen that the order is not kept yet.
		var both sync.WaitGroup
		both.Add(2)
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		var arrived atomic.Int32
		r.faults.Before(ordertest.Charge, func(context.Context) error {
			if arrived.Add(1) <= 2 {
				both.Done()
			}
			select {
			case <-met:
			case <-time.After(200 * time.Millisecond): // who lets one run at a time is right, too
			}
			return nil
		})
		type answer struct {
			o   order.Order
			err error
		}
		answers := make(chan answer, 2)
		for range 2 {
			go func() {
				o, err := r.call(context.Background(), request)
				answers <- answer{o, err}
			}()
		}
		var got [2]answer
		for i := range got {
			select {
			case got[i] = <-answers:
			case <-time.After(2 * time.Second):
				stuck.Store(true)
				require.Fail(t, "two calls of Place with the same ID at once: one has not returned after two seconds")
			}
			require.NoError(t, got[i].err, "two calls of Place with the same ID at once, both before the order was kept: one of them finds that the other was quicker (Create: ErrExists), and returns that one's order")
		}
		for range 2 - min(2, arrived.Load()) {
			both.Done() // so that no goroutine waits
		}
		assert.Equal(t, got[0].o, got[1].o, "two calls of Place with the same ID at once: both return the same order")
		r.consistent(t, "two calls of Place with the same ID at once (they charge with the same key, which is one charge: whoever finds the order kept by the other must not undo it)")
	})
}

// TestQuicker has another call for the same ID save the order between this one's
// charge and its save: the other of two clicks, in another process.
func TestQuicker(t *testing.T) {
	lost := func(context.Context) error { return fmt.Errorf("read: connection reset: %w", order.ErrUnknown) }

	t.Run("what_the_quicker_one_kept_is_returned", func(t *testing.T) {
		r := newRestaurant()
		kept := r.quicker(order.Paid)
		o, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and another call with the same ID has kept the order first (Create: ErrExists): it returns that order")
		assert.Equal(t, kept(t), o, "Place, and another call with the same ID has kept the order first (Create: ErrExists): it returns the order that is kept, and not the one that it would have kept. quicker looks it up")
	})

	t.Run("nothing_is_undone_for_who_was_slower", func(t *testing.T) {
		r := newRestaurant()
		_ = r.quicker(order.Paid)
		_, _ = r.place(t, context.Background(), request)
		r.consistent(t, "Place, and another call with the same ID has kept the order first (both charge with the same key, which is one charge, and reserve for the same ID, which is one reservation: they are the kept order's)")
	})

	t.Run("what_the_quicker_one_kept_counts_more_than_a_lost_charge", func(t *testing.T) {
		r := newRestaurant()
		kept := r.quicker(order.Paid)
		r.faults.After(ordertest.Charge, lost)
		o, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and the answer to its charge was lost (ErrUnknown), and another call with the same ID has kept the order, as Paid (Create: ErrExists): what became of the charge is known, since both are one, and the kept order says it")
		assert.Equal(t, kept(t), o, "Place, and the answer to its charge was lost (ErrUnknown), and another call with the same ID has kept the order, as Paid (Create: ErrExists): it returns the order that is kept")
	})

	t.Run("a_pending_order_of_the_quicker_one_is_returned_as_it_stands", func(t *testing.T) {
		r := newRestaurant()
		kept := r.quicker(order.Pending)
		o, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and its charge succeeded, and another call with the same ID has kept the order, as Pending (Create: ErrExists): it returns that order")
		assert.Equal(t, kept(t), o, "Place, and its charge succeeded, and another call with the same ID has kept the order, as Pending (Create: ErrExists): it returns the order as it stands. Whoever settles it asks for the charge by the same key, and finds it paid")
	})

	t.Run("it_is_looked_up_though_the_client_left", func(t *testing.T) {
		r := newRestaurant()
		kept := r.quicker(order.Paid)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.faults.After(ordertest.Charge, func(context.Context) error { cancel(); return nil })
		o, err := r.place(t, ctx, request)
		require.NoError(t, err, "Place, and the client left when it was charged, and another call with the same ID has kept the order first (Create: ErrExists): from the charge on, the client's leaving changes nothing, so the look-up of that order is detached, too")
		assert.Equal(t, kept(t), o, "Place, and the client left when it was charged, and another call with the same ID has kept the order first: it returns the order that is kept")
	})

	t.Run("the_look_up_has_a_deadline", func(t *testing.T) {
		r := newRestaurant()
		_ = r.quicker(order.Paid)
		looks, bounded := 0, false
		r.faults.Before(ordertest.Get, func(ctx context.Context) error {
			looks++
			_, bounded = ctx.Deadline()
			return nil
		})
		_, err := r.place(t, context.Background(), request)
		require.NoError(t, err, "Place, and another call with the same ID has kept the order first (Create: ErrExists): it returns that order")
		require.GreaterOrEqual(t, looks, 2, "Place, and another call with the same ID has kept the order first: calls of Orders.Get, one to see that it is not there yet, and one to look up what is kept")
		assert.True(t, bounded, "Place, and another call with the same ID has kept the order first, and it looked it up with a context that never ends. From the charge on, each call has a deadline of its own: detached")
	})

	t.Run("a_look_up_that_fails_says_not_that_nothing_was_done", func(t *testing.T) {
		r := newRestaurant()
		r.unseen()
		const what = "Place, and another call with the same ID has kept the order first (Create: ErrExists), and the look-up of that order failed (Get: ErrUnavailable)"
		_, err := r.place(t, context.Background(), request)
		assert.ErrorIs(t, err, order.ErrUnknown, "%s: the order is there, and paid. ErrUnavailable alone says that nothing was done, and the customer orders once more; ErrUnknown has them ask again with the same ID, and that finds it. quicker sees to it", what)
	})

	t.Run("a_look_up_that_fails_undoes_nothing", func(t *testing.T) {
		r := newRestaurant()
		r.unseen()
		_, _ = r.place(t, context.Background(), request)
		r.consistent(t, "Place, and another call with the same ID has kept the order first (Create: ErrExists), and the look-up of that order failed (what was charged and reserved is the kept order's)")
	})
}

// request is what ada asks for: 2 of 5 ramen.
var request = order.Request{
	ID: "order-1", Customer: "ada", Method: "pm_card_visa",
	Items: []order.Item{{Dish: "ramen", Quantity: 2}},
	At:    time.Date(2030, 1, 2, 20, 15, 0, 123456789, time.FixedZone("CET", 3600)),
}

func with(items ...order.Item) order.Request {
	r := request
	r.Items = items
	return r
}

func paidBy(method string) order.Request {
	r := request
	r.Method = method
	return r
}

func euro(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }

var (
	dishes = []order.Dish{{ID: "ramen", Name: "Ramen", Price: euro(1250)}, {ID: "tea", Name: "Green tea", Price: euro(310)}}
	lines  = []order.Line{{Dish: "ramen", Name: "Ramen", Quantity: 2, Unit: euro(1250), Total: euro(2500)}}
	totals = order.Totals{Subtotal: euro(2500), Discount: euro(0), Tax: euro(475), Total: euro(2975)}
)

// price knows the prices that these tests need.
func price(items []order.Item, menu []order.Dish) ([]order.Line, order.Totals, error) {
	if len(menu) != len(dishes) {
		return nil, order.Totals{}, fmt.Errorf("price was given a menu of %d dishes, and not the restaurant's", len(menu))
	}
	switch fmt.Sprint(items) {
	case "[{ramen 2}]":
		return append([]order.Line(nil), lines...), totals, nil
	case "[{ramen 6}]", "[{tea 1} {ramen 6}]":
		return []order.Line{}, order.Totals{Subtotal: euro(7500), Discount: euro(0), Tax: euro(1425), Total: euro(8925)}, nil
	}
	return nil, order.Totals{}, &order.InvalidError{Field: "lines[0].dish", What: fmt.Sprintf("%v is not on the menu", items)}
}

// restaurant is memory's ports, as they are, with 5 ramen and a tea in stock; and
// behind faults, which Place gets.
type restaurant struct {
	order.Ports
	payments *memory.Payments
	faults   *ordertest.Faults
}

func newRestaurant() *restaurant {
	payments := memory.NewPayments()
	ports := memory.Ports(dishes, map[string]int{"ramen": 5, "tea": 1})
	ports.Payments = payments
	return &restaurant{ports, payments, ordertest.NewFaults(ports)}
}

// call is Place, which may panic.
func (r *restaurant) call(ctx context.Context, req order.Request) (o order.Order, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v, at %s: %w", p, whose(), errPanicked)
		}
	}()
	return placeorder.Place(ctx, r.faults.Ports(), price, req)
}

var errPanicked = errors.New("Place panicked")

// whose is the line of the package under test that panicked.
func whose() string {
	for _, line := range strings.Split(string(debug.Stack()), "\n") {
		if strings.Contains(line, "placeorder.go:") {
			return strings.TrimSpace(line)
		}
	}
	return "?"
}

// stuck is set when a call has not returned, so that the others need not be
// waited for.
var stuck atomic.Bool

// place is call, which has two seconds to return.
func (r *restaurant) place(t *testing.T, ctx context.Context, req order.Request) (order.Order, error) {
	t.Helper()
	require.False(t, stuck.Load(), "not tried: an earlier call of Place has not returned")
	var o order.Order
	var err error
	done := make(chan struct{})
	go func() { defer close(done); o, err = r.call(ctx, req) }()
	select {
	case <-done:
		require.False(t, errors.Is(err, errPanicked), "%v", err)
		return o, err
	case <-time.After(2*time.Second + 2*placeorder.Patience*inBubble()):
		stuck.Store(inBubble() == 0)
		require.Fail(t, "Place has not returned in time")
		return order.Order{}, nil
	}
}

// inBubble is 1 where time is synctest's, which starts in the year 2000, and 0
// where it is not.
func inBubble() time.Duration {
	if time.Now().Year() < 2020 {
		return 1
	}
	return 0
}

// placed is place, for what can be placed.
func (r *restaurant) placed(t *testing.T, req order.Request) order.Order {
	t.Helper()
	o, err := r.place(t, context.Background(), req)
	require.NotErrorIs(t, err, order.ErrNotFound, "Place for %v, of which there are enough, and no step fails. Where no order is there yet, the error of existing wraps ErrNotFound: == does not see that, errors.Is does", req.Items)
	require.NoError(t, err, "Place for %v, of which there are enough, and no step fails", req.Items)
	require.Equal(t, "order-1", o.ID, "Place for %v: the order that it returns has the ID of the request", req.Items)
	return o
}

// refused is place, for what cannot be placed. If want is not nil, the error is it.
func (r *restaurant) refused(t *testing.T, want error, req order.Request, what string) error {
	t.Helper()
	o, err := r.place(t, context.Background(), req)
	require.Error(t, err, "%s: that is an error", what)
	if want != nil {
		require.ErrorIs(t, err, want, "%s: that is the error to return, wrapped", what)
	}
	require.Zero(t, o, "%s: with an error comes no order", what)
	return err
}

// quicker has another call keep the order that is asked for, as state, when this one
// is about to. kept is what is kept then: another's order, who came a second earlier.
func (r *restaurant) quicker(state order.State) (kept func(*testing.T) order.Order) {
	r.faults.Before(ordertest.Create, func(context.Context) error {
		at := request.At.UTC().Truncate(time.Microsecond).Add(-time.Second)
		o := order.Order{
			ID: request.ID, Customer: request.Customer, Lines: lines, Totals: totals, Method: request.Method,
			State: state, Version: 1, Created: at, Updated: at,
		}
		if book := r.payments.Book(); state != order.Pending && len(book) > 0 {
			o.Payment = book[0].ID
		}
		if err := r.Orders.Create(context.Background(), o); !errors.Is(err, order.ErrExists) {
			return err
		}
		return nil // who asks twice to save it finds it, too
	})
	return func(t *testing.T) order.Order {
		t.Helper()
		o, err := r.Orders.Get(context.Background(), request.ID)
		require.NoError(t, err, "Place has not tried to keep the order: Orders.Create saves it")
		return o
	}
}

// unseen is quicker, and from the charge on, no order can be looked up.
func (r *restaurant) unseen() {
	_ = r.quicker(order.Paid)
	var charged atomic.Bool
	r.faults.After(ordertest.Charge, func(context.Context) error { charged.Store(true); return nil })
	r.faults.Before(ordertest.Get, func(context.Context) error {
		if charged.Load() {
			return fmt.Errorf("db-3 is away: %w", order.ErrUnavailable)
		}
		return nil
	})
}

// pending places the request, whose order must be pending then.
func (r *restaurant) pending(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	o, err := r.place(t, ctx, request)
	require.NoError(t, err, "Place, and %s: nobody knows whether the customer has paid, so the order is saved as Pending and returned, without an error", what)
	require.Equal(t, order.Pending, o.State, "Place, and %s: the order's State", what)
	kept, err := r.Orders.Get(context.Background(), request.ID)
	require.NoError(t, err, "Place, and %s: the order must be kept, so that somebody asks later", what)
	assert.Equal(t, kept, o, "Place, and %s: what is returned is what is kept", what)
}

// left is how many ramen there are.
func (r *restaurant) left(t *testing.T) int {
	t.Helper()
	left, err := r.Stock.Left(context.Background())
	require.NoError(t, err)
	return left["ramen"]
}

// money is what the customer has paid and not got back, in cents.
func (r *restaurant) money() (cents int64) {
	for _, payment := range r.payments.Book() {
		if payment.ID != "" && !payment.Refunded {
			cents += payment.Charge.Amount.Amount
		}
	}
	return cents
}

func (r *restaurant) charges() []order.Charge {
	var all []order.Charge
	for _, payment := range r.payments.Book() {
		all = append(all, payment.Charge)
	}
	return all
}

// asBefore checks that nothing is left of an order.
func (r *restaurant) asBefore(t *testing.T, what string) {
	t.Helper()
	assert.Equal(t, 5, r.left(t), "%s: so many ramen are in stock, of 5. Calls: %v", what, r.faults.Calls())
	assert.Zero(t, r.money(), "%s: so many cents has the customer paid and not got back. Calls: %v", what, r.faults.Calls())
	_, err := r.Orders.Get(context.Background(), request.ID)
	assert.ErrorIs(t, err, order.ErrNotFound, "%s: an order is kept. Calls: %v", what, r.faults.Calls())
}

// consistent checks that there is one order, for which stock and money have moved.
func (r *restaurant) consistent(t *testing.T, what string) {
	t.Helper()
	_, err := r.Orders.Get(context.Background(), request.ID)
	assert.NoError(t, err, "%s: the order is kept. Calls: %v", what, r.faults.Calls())
	assert.Equal(t, 3, r.left(t), "%s: so many ramen are in stock, of 5, 2 of which are for the order. Calls: %v", what, r.faults.Calls())
	assert.EqualValues(t, 2975, r.money(), "%s: so many cents has the customer paid and not got back. Calls: %v", what, r.faults.Calls())
}
