package ordering_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// Another replica has placed the same order, failed, and undone it, while this one is at
// it: then the order gets the next ID, and its customer does not notice.
func TestUndoneByAnother(t *testing.T) {
	placed := func(t *testing.T, k *kitchen, ports order.Ports) {
		t.Helper()
		c := k.config
		c.Ports = ports
		o, err := tea(t.Context(), k.start(t, c), "dinner")
		require.NoError(t, err)
		assert.Equal(t, order.Paid, o.State)
		assert.Contains(t, o.ID, "-2", "the first ID is used up")
		assert.Equal(t, 7, k.teas(t), "two of nine teas are taken, once")
		assert.Equal(t, o.Totals.Total.Amount, k.money(), "it was paid once, and what the other has collected is back")
	}
	t.Run("before_the_charge", func(t *testing.T) {
		k := newKitchen(t)
		ports := k.ports
		ports.Payments = &undoing{Payments: ports.Payments, stock: k.stock}
		placed(t, k, ports)
	})
	t.Run("before_the_save", func(t *testing.T) {
		k := newKitchen(t)
		ports := k.ports
		ports.Orders = &fenced{Orders: ports.Orders, stock: k.stock}
		placed(t, k, ports)
	})
	t.Run("a_card_that_is_declined_is_still_that", func(t *testing.T) {
		k := newKitchen(t)
		_, err := tea(t.Context(), k.Service, "dinner", func(r *order.Request) { r.Method = "pm_card_chargeDeclined" })
		require.ErrorIs(t, err, order.ErrDeclined)
		assert.Equal(t, 9, k.teas(t))
	})
}

// undoing are payments at whose first charge the order was released, and paid back.
type undoing struct {
	order.Payments
	stock order.Stock
	done  bool
}

func (u *undoing) Charge(ctx context.Context, c order.Charge) (string, error) {
	payment, err := u.Payments.Charge(ctx, c)
	if u.done || err != nil {
		return payment, err
	}
	u.done = true
	if err := u.stock.Release(ctx, c.Order); err != nil {
		return "", err
	}
	if err := u.Payments.Refund(ctx, payment); err != nil {
		return "", err
	}
	return u.Payments.Charge(ctx, c)
}

// fenced are orders that keep none whose reservation was released, as a database can see
// to it; of the first one, it was.
type fenced struct {
	order.Orders
	stock order.Stock
	done  bool
}

func (f *fenced) Create(ctx context.Context, o order.Order) error {
	if f.done {
		return f.Orders.Create(ctx, o)
	}
	f.done = true
	if err := f.stock.Release(ctx, o.ID); err != nil {
		return err
	}
	return fmt.Errorf("what was reserved for it was released: %w", order.ErrConflict)
}
