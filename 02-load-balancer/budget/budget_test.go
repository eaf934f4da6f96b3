package budget_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/budget"
)

func TestBudget(t *testing.T) {
	t.Run("allows_a_share_of_the_requests", func(t *testing.T) {
		b := newBudget(t, 0.2, 0)
		assert.Zero(t, retries(b), "no request, no retry")
		requests(b, 4)
		assert.Zero(t, retries(b), "20 %% of 4 is less than one")
		requests(b, 1)
		assert.Equal(t, 1, retries(b), "20 %% of 5")
		requests(b, 995)
		assert.Equal(t, 199, retries(b), "20 %% of 1,000, of which one was used")
	})

	t.Run("allows_some_however_few_requests_there_are", func(t *testing.T) {
		b := newBudget(t, 0.2, 3)
		requests(b, 10)
		assert.Equal(t, 2+30, retries(b), "20 %% of 10, and 3 a second for 10 seconds")
	})

	t.Run("forgets_after_the_window", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(t, 0.5, 0)
			requests(b, 10)
			time.Sleep(budget.Window - time.Second)
			requests(b, 4)
			assert.Equal(t, 7, retries(b), "both are within the window")
			time.Sleep(time.Second)
			requests(b, 16)
			assert.Equal(t, 10-7, retries(b), "the first 10 are over; the 7 retries count")
			time.Sleep(budget.Window)
			assert.Zero(t, retries(b), "all is over")
			time.Sleep(1000 * budget.Window)
			requests(b, 2)
			assert.Equal(t, 1, retries(b), "it begins anew")
		})
	})

	t.Run("is_exact_for_many_at_once", func(t *testing.T) {
		b := newBudget(t, 0.25, 0)
		var all sync.WaitGroup
		var mu sync.Mutex // guards sum
		sum := 0
		for range 8 {
			all.Go(func() {
				requests(b, 500)
				n := retries(b)
				mu.Lock()
				defer mu.Unlock()
				sum += n
			})
		}
		all.Wait()
		assert.Equal(t, 1000, sum+retries(b))
	})

	t.Run("refuses_what_makes_no_sense", func(t *testing.T) {
		for _, bad := range [][2]float64{{-0.1, 0}, {0, -1}, {math.NaN(), 0}, {0, math.NaN()}} {
			_, err := budget.New(bad[0], bad[1])
			assert.ErrorContains(t, err, "negative", "%v", bad)
		}
	})
}

func newBudget(t *testing.T, share, perSecond float64) *budget.Budget {
	t.Helper()
	b, err := budget.New(share, perSecond)
	require.NoError(t, err)
	return b
}

func requests(b *budget.Budget, n int) {
	for range n {
		b.Request()
	}
}

// retries is how many are allowed now.
func retries(b *budget.Budget) (n int) {
	for b.Retry() {
		n++
	}
	return n
}

func BenchmarkRequest(b *testing.B) {
	budget, err := budget.New(0.2, 10)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		budget.Request()
	}
}
