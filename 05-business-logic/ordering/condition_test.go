package ordering_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// inVersion is a context in which an order is changed only in this version.
func inVersion(t *testing.T, version int) context.Context {
	return order.WithCondition(t.Context(), func(o order.Order) bool { return o.Version == version })
}

func TestCondition(t *testing.T) {
	t.Run("a_change_of_what_was_seen_is_made", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k1")
		require.NoError(t, err)
		o, err = k.Advance(inVersion(t, o.Version), o.ID, order.Preparing)
		require.NoError(t, err)
		assert.Equal(t, 2, o.Version)
	})

	t.Run("a_change_of_what_was_not_seen_is_not", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k1")
		require.NoError(t, err)
		for _, change := range []func(ctx context.Context) (order.Order, error){
			func(ctx context.Context) (order.Order, error) { return k.Advance(ctx, o.ID, order.Preparing) },
			func(ctx context.Context) (order.Order, error) { return k.Cancel(ctx, o.Customer, o.ID) },
		} {
			_, err = change(inVersion(t, o.Version+1))
			require.ErrorIs(t, err, order.ErrCondition)
		}
		assert.Equal(t, order.Paid, k.state(t, o.ID))
	})

	t.Run("a_change_in_between_is_seen", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k1")
		require.NoError(t, err)
		asked := 0
		ctx := order.WithCondition(t.Context(), func(seen order.Order) bool {
			if asked++; asked == 1 { // after it was looked at, and before the change is kept
				_, err := k.Advance(t.Context(), o.ID, order.Preparing)
				require.NoError(t, err)
			}
			return seen.Version == o.Version
		})
		_, err = k.Cancel(ctx, o.Customer, o.ID)
		require.ErrorIs(t, err, order.ErrCondition)
		assert.Equal(t, 2, asked, "it is asked anew of the order that the change would begin with")
		assert.Equal(t, order.Preparing, k.state(t, o.ID))
	})

	t.Run("an_order_is_cancelled_whole", func(t *testing.T) { // though it has other versions on the way
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k1")
		require.NoError(t, err)
		o, err = k.Cancel(inVersion(t, o.Version), o.Customer, o.ID)
		require.NoError(t, err)
		assert.Equal(t, order.Cancelled, o.State)
		assert.Zero(t, k.money())
	})

	t.Run("another_customers_order_is_not_there", func(t *testing.T) {
		k := newKitchen(t)
		o, err := tea(t.Context(), k.Service, "k1")
		require.NoError(t, err)
		_, err = k.Cancel(inVersion(t, o.Version+1), "bob", o.ID)
		require.ErrorIs(t, err, order.ErrNotFound, "a condition tells nothing of what may not be seen")
		require.NotErrorIs(t, err, order.ErrCondition)
	})
}
