package ordering_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
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

// This replica's save has ended in nobody knows what, after the charge. Another one,
// which could neither reserve nor release, undoes the order when it can, and knows of no
// payment. So whoever has charged pays it back.
func TestUndoneByAnotherThatKnowsOfNoPayment(t *testing.T) {
	begin := func(t *testing.T, charge func(order.Payments) order.Payments) (k *kitchen, here *ordering.Service) {
		k = newKitchen(t)
		one, two := k.config, k.config
		one.Ports, two.Ports = k.ports, k.ports
		one.Ports.Payments = charge(k.ports.Payments)
		one.Ports.Orders = &silent{Orders: k.ports.Orders}
		stock := &away{Stock: k.ports.Stock}
		two.Ports.Stock = stock
		here, there := k.start(t, one), k.start(t, two)
		_, err := tea(t.Context(), here, "dinner")
		require.ErrorIs(t, err, order.ErrUnknown)
		_, err = tea(t.Context(), there, "dinner")
		require.ErrorIs(t, err, order.ErrUnavailable)
		stock.back = true
		require.NoError(t, there.Settle(t.Context()))
		require.Equal(t, 9, k.teas(t), "the other has released what was reserved")
		require.Positive(t, k.money(), "and has paid nothing back")
		return k, here
	}
	paidOnce := func(t *testing.T, k *kitchen, here *ordering.Service) {
		t.Helper()
		o, err := tea(t.Context(), here, "dinner")
		require.NoError(t, err)
		assert.Equal(t, order.Paid, o.State)
		assert.Contains(t, o.ID, "-2", "the first ID is used up")
		assert.Equal(t, 7, k.teas(t), "two of nine teas are taken, once")
		require.NoError(t, here.Settle(t.Context()))
		assert.Empty(t, here.Left())
		assert.Equal(t, o.Totals.Total.Amount, k.money(), "it was paid once, and what the first ID has cost is back")
	}
	all := func(p order.Payments) order.Payments { return p }
	t.Run("asked_again", func(t *testing.T) {
		k, here := begin(t, all)
		paidOnce(t, k, here)
	})
	t.Run("nobody_asks_again", func(t *testing.T) {
		k, here := begin(t, all)
		require.NoError(t, here.Settle(t.Context()))
		assert.Empty(t, here.Left())
		assert.Zero(t, k.money())
	})
	t.Run("the_provider_is_away_for_a_while", func(t *testing.T) {
		p := &closed{}
		k, here := begin(t, func(base order.Payments) order.Payments { p.Payments = base; return p })
		p.away = true
		_, err := tea(t.Context(), here, "dinner")
		require.ErrorIs(t, err, order.ErrUnknown, "whether it is owed money, nobody knows yet")
		require.Error(t, here.Settle(t.Context()))
		require.Len(t, here.Left(), 1)
		p.away = false
		paidOnce(t, k, here)
	})
	t.Run("its_refund_fails_once", func(t *testing.T) {
		p := &closed{}
		k, here := begin(t, func(base order.Payments) order.Payments { p.Payments = base; return p })
		p.refuses = 1
		paidOnce(t, k, here)
	})
}

// silent are orders whose first save is lost, and so is what became of it.
type silent struct {
	order.Orders
	done bool
}

func (s *silent) Create(ctx context.Context, o order.Order) error {
	if !s.done {
		s.done = true
		return order.ErrUnknown
	}
	return s.Orders.Create(ctx, o)
}

// away is a stock that cannot be reached, until it is back.
type away struct {
	order.Stock
	back bool
}

func (a *away) Reserve(ctx context.Context, id string, items []order.Item) error {
	if !a.back {
		return order.ErrUnavailable
	}
	return a.Stock.Reserve(ctx, id, items)
}

func (a *away) Release(ctx context.Context, id string) error {
	if !a.back {
		return order.ErrUnavailable
	}
	return a.Stock.Release(ctx, id)
}

// closed are payments that cannot be reached while they are away, and that refuse so
// many refunds.
type closed struct {
	order.Payments
	away    bool
	refuses int
}

func (c *closed) Charge(ctx context.Context, charge order.Charge) (string, error) {
	if c.away {
		return "", order.ErrUnavailable
	}
	return c.Payments.Charge(ctx, charge)
}

func (c *closed) Refund(ctx context.Context, payment string) error {
	if c.refuses > 0 {
		c.refuses--
		return order.ErrUnavailable
	}
	return c.Payments.Refund(ctx, payment)
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
