package ordertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// Till is an order.Payments to be tested, with what the suite must know of it.
type Till struct {
	Payments order.Payments
	Method   string // is good for any amount
	Declined string // is refused for good
	// Book returns what was charged for the order of that ID and what was refunded,
	// in all its payments together, as the provider has it in its books.
	Book func(t *testing.T, order string) (charged, refunded int64)
}

// TestPayments is the suite of order.Payments. newTill returns one that has no
// payments yet of the orders "one", "two" and so on.
func TestPayments(t *testing.T, newTill func(t *testing.T) Till) {
	charge := func(till Till, id string) order.Charge {
		return order.Charge{Key: "charge-" + id, Order: id, Amount: order.Money{Amount: 2975, Currency: "EUR"}, Method: till.Method}
	}
	book := func(t *testing.T, till Till, id string, charged, refunded int64, what string) {
		t.Helper()
		c, r := till.Book(t, id)
		assert.Equal(t, charged, c, "charged for order %q: %s", id, what)
		assert.Equal(t, refunded, r, "refunded for order %q: %s", id, what)
	}

	t.Run("charges", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		assert.NotEmpty(t, payment, "the payment's ID, by which it can be refunded")
		book(t, till, "one", 2975, 0, "after one charge")
	})

	t.Run("two_orders_are_two_payments", func(t *testing.T) {
		till := newTill(t)
		one, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		two, err := till.Payments.Charge(within(t), charge(till, "two"))
		require.NoError(t, err)
		assert.NotEqual(t, one, two)
		book(t, till, "two", 2975, 0, "after a charge for each of two orders")
	})

	t.Run("charges_once_for_a_key", func(t *testing.T) {
		till := newTill(t)
		first, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		again, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err, "a caller that got no answer asks again")
		assert.Equal(t, first, again)
		book(t, till, "one", 2975, 0, "after two calls with one key")
	})

	t.Run("charges_once_for_a_key_when_asked_many_times_at_once", func(t *testing.T) {
		till := newTill(t)
		ids := make([]string, 10)
		errs := atOnce(len(ids), func(i int) (err error) {
			ids[i], err = till.Payments.Charge(within(t), charge(till, "one"))
			return err
		})
		settled, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		for i, err := range errs {
			if err != nil { // a provider may refuse a key that is in use: then nobody knows
				assert.ErrorIs(t, err, order.ErrUnknown)
			} else {
				assert.Equal(t, settled, ids[i])
			}
		}
		book(t, till, "one", 2975, 0, "after many calls at once with one key")
	})

	t.Run("a_key_stands_for_one_amount", func(t *testing.T) {
		till := newTill(t)
		_, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		c := charge(till, "one")
		c.Amount.Amount++
		_, err = till.Payments.Charge(within(t), c)
		require.ErrorIs(t, err, order.ErrConflict, "the same key with another amount, as when the price has changed meanwhile")
		for _, known := range []error{order.ErrDeclined, order.ErrUnavailable, order.ErrInvalid} {
			assert.False(t, errors.Is(err, known), "the first charge was collected, and %q says that nothing was: %v", known, err)
		}
		book(t, till, "one", 2975, 0, "after a second charge with the same key and another amount")
	})

	t.Run("a_declined_charge_moves_no_money", func(t *testing.T) {
		till := newTill(t)
		c := charge(till, "one")
		c.Method = till.Declined
		_, err := till.Payments.Charge(within(t), c)
		require.ErrorIs(t, err, order.ErrDeclined)
		assert.False(t, errors.Is(err, order.ErrUnknown), "declined is known: %v", err)
		book(t, till, "one", 0, 0, "after a charge that was declined")
	})

	t.Run("a_declined_charge_stays_declined", func(t *testing.T) {
		till := newTill(t)
		c := charge(till, "one")
		c.Method = till.Declined
		for range 2 {
			_, err := till.Payments.Charge(within(t), c)
			require.ErrorIs(t, err, order.ErrDeclined)
		}
	})

	t.Run("an_amount_below_1_is_invalid", func(t *testing.T) {
		till := newTill(t)
		for i, amount := range []int64{0, -2975} {
			c := charge(till, fmt.Sprint("amount-", i))
			c.Amount.Amount = amount
			_, err := till.Payments.Charge(within(t), c)
			require.ErrorIs(t, err, order.ErrInvalid, "a charge of %d", amount)
		}
	})

	t.Run("refunds_all_of_it", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		require.NoError(t, till.Payments.Refund(within(t), payment))
		book(t, till, "one", 2975, 2975, "after a charge and its refund")
	})

	t.Run("refunds_no_other_payment", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		_, err = till.Payments.Charge(within(t), charge(till, "two"))
		require.NoError(t, err)
		require.NoError(t, till.Payments.Refund(within(t), payment))
		book(t, till, "two", 2975, 0, "after the refund of another order")
	})

	t.Run("refunds_once", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		require.NoError(t, till.Payments.Refund(within(t), payment))
		require.NoError(t, till.Payments.Refund(within(t), payment), "a caller that got no answer asks again")
		book(t, till, "one", 2975, 2975, "after two calls of Refund")
	})

	t.Run("refunds_once_when_asked_many_times_at_once", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		for _, err := range atOnce(10, func(int) error { return till.Payments.Refund(within(t), payment) }) {
			if err != nil {
				assert.ErrorIs(t, err, order.ErrUnknown)
			}
		}
		require.NoError(t, till.Payments.Refund(within(t), payment))
		book(t, till, "one", 2975, 2975, "after many calls of Refund at once")
	})

	t.Run("a_refund_does_not_let_the_key_charge_again", func(t *testing.T) {
		till := newTill(t)
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err)
		require.NoError(t, till.Payments.Refund(within(t), payment))
		_, err = till.Payments.Charge(within(t), charge(till, "one"))
		require.ErrorIs(t, err, order.ErrDeclined, "a charge that was paid back: whoever is told that it has succeeded cooks for nothing")
		assert.False(t, errors.Is(err, order.ErrUnknown), "that it was paid back is known: %v", err)
		book(t, till, "one", 2975, 2975, "after a charge, its refund, and the same charge again")
	})

	t.Run("refunds_no_payment_that_is_not_there", func(t *testing.T) {
		till := newTill(t)
		for _, payment := range []string{"pi_nobody", ""} {
			require.ErrorIs(t, till.Payments.Refund(within(t), payment), order.ErrNotFound, "Refund(%q)", payment)
		}
	})

	t.Run("a_context_that_is_done_sends_nothing", func(t *testing.T) {
		till := newTill(t)
		_, err := till.Payments.Charge(gone(), charge(till, "one"))
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, order.ErrUnavailable, "the context was done before the call: it was not sent, and that is known")
		book(t, till, "one", 0, 0, "after a call with a context that was done")
		payment, err := till.Payments.Charge(within(t), charge(till, "one"))
		require.NoError(t, err, "a caller that left must not spoil the key")
		require.ErrorIs(t, till.Payments.Refund(gone(), payment), context.Canceled)
		book(t, till, "one", 2975, 0, "after a refund with a context that was done")
	})
}
