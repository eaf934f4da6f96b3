package cached_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/cached"
)

// asked is a stock that counts who asks what is left, and answers after a moment.
type asked struct {
	order.Stock
	n     atomic.Int32
	fault error
}

func (a *asked) Left(ctx context.Context) (map[string]int, error) {
	a.n.Add(1)
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a.fault != nil {
		return nil, a.fault
	}
	return a.Stock.Left(ctx)
}

func TestStock(t *testing.T) {
	ramen := func(t *testing.T, s order.Stock) int {
		t.Helper()
		left, err := s.Left(t.Context())
		require.NoError(t, err)
		n := left["ramen"]
		left["ramen"] = -1 // it is the caller's own
		return n
	}
	begin := func() (*asked, order.Stock) {
		a := &asked{Stock: memory.NewStock(map[string]int{"ramen": 5})}
		return a, cached.Stock(a, 0)
	}

	t.Run("is_asked_once_for_many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, s := begin()
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { assert.Equal(t, 5, ramen(t, s)) })
			}
			all.Wait()
			assert.Equal(t, 5, ramen(t, s))
			assert.EqualValues(t, 1, a.n.Load())
		})
	})

	t.Run("is_a_second_old_at_most", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, s := begin()
			assert.Equal(t, 5, ramen(t, s))
			require.NoError(t, s.Reserve(t.Context(), "17", []order.Item{{Dish: "ramen", Quantity: 2}}))
			assert.Equal(t, 5, ramen(t, s))
			time.Sleep(time.Second)
			assert.Equal(t, 3, ramen(t, s))
		})
	})

	t.Run("fails_for_those_who_wait_and_not_for_ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, s := begin()
			a.fault = errors.New("database: connection refused")
			_, err := s.Left(t.Context())
			require.ErrorIs(t, err, a.fault)
			a.fault = nil
			assert.Equal(t, 5, ramen(t, s))
		})
	})

	t.Run("goes_on_for_the_others_when_one_has_left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, s := begin()
			ctx, leave := context.WithCancel(t.Context())
			go func() { _, _ = s.Left(ctx) }()
			synctest.Wait()
			go leave()
			assert.Equal(t, 5, ramen(t, s))
			assert.EqualValues(t, 1, a.n.Load())
		})
	})
}
