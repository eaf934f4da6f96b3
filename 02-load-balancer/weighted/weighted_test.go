package weighted_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/weighted"
)

func TestPick(t *testing.T) {
	t.Run("is_smooth", func(t *testing.T) {
		// nginx's own example, from the commit that brought it.
		assert.Equal(t, "a a b a c a a a a b a c a a", picks(weighted.New(0), backends(t, 5, 1, 1), 14))
	})

	t.Run("takes_turns_at_equal_weights", func(t *testing.T) {
		assert.Equal(t, "a b c a b c", picks(weighted.New(0), backends(t, 7, 7, 7), 6))
	})

	t.Run("skips_what_is_not_available", func(t *testing.T) {
		pool := backends(t, 2, 1, 1)
		r := weighted.New(0)
		pool[0].SetDown(true)
		assert.Equal(t, "b c b c", picks(r, pool, 4))
		pool[1].SetDraining(true)
		pool[2].SetEjected(true)
		assert.Nil(t, r.Pick(pool, ""))
		assert.Nil(t, r.Pick(nil, ""))
		pool[0].SetDown(false)
		assert.Equal(t, "a a", picks(r, pool, 2))
	})

	t.Run("gives_nothing_back_to_one_that_was_down", func(t *testing.T) {
		pool := backends(t, 1, 1)
		r := weighted.New(0)
		pool[0].SetDown(true)
		picks(r, pool, 100)
		pool[0].SetDown(false)
		assert.Equal(t, 5, strings.Count(picks(r, pool, 10), "a"))
	})

	t.Run("follows_a_pool_that_changes", func(t *testing.T) {
		all := backends(t, 3, 2, 1, 4)
		r := weighted.New(0)
		for _, pool := range [][]*balancer.Backend{all, all[:2], all[1:3], all} {
			sum := 0
			for _, b := range pool {
				sum += b.Weight()
			}
			picks(r, pool, 100*sum-100)
			got := picks(r, pool, 100*sum)
			for _, b := range pool {
				assert.InDelta(t, 100*b.Weight(), strings.Count(got, b.Name()), 1)
			}
		}
	})

	t.Run("starts_a_newcomer_slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pool := backends(t, 1, 1, 1)
			r := weighted.New(10 * time.Second)
			assert.Equal(t, "a b a b", picks(r, pool[:2], 4), "those who start together are alike")
			time.Sleep(time.Minute)
			share := func() float64 { return float64(strings.Count(picks(r, pool, 2100), "c")) / 2100 }
			assert.InDelta(t, 0.1/2.1, share(), 0.005, "new: a tenth of its weight")
			time.Sleep(5 * time.Second)
			assert.InDelta(t, 0.5/2.5, share(), 0.005, "half of the time is over")
			time.Sleep(5 * time.Second)
			assert.InDelta(t, 1.0/3, share(), 0.005, "all of the time is over")
			pool[2].SetDown(true)
			picks(r, pool, 1)
			time.Sleep(time.Minute)
			picks(r, pool, 1)
			pool[2].SetDown(false)
			assert.InDelta(t, 0.1/2.1, share(), 0.005, "it was down, and is back")
		})
	})

	t.Run("is_even_for_many_callers", func(t *testing.T) {
		pool := backends(t, 1, 2, 3)
		r := weighted.New(0)
		var mu sync.Mutex
		var all []string
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				mine := strings.Fields(picks(r, pool, 60))
				mu.Lock()
				defer mu.Unlock()
				all = append(all, mine...)
			})
		}
		callers.Wait()
		slices.Sort(all)
		assert.Equal(t, strings.Repeat("a", 200)+strings.Repeat("b", 400)+strings.Repeat("c", 600), strings.Join(all, ""))
	})

	t.Run("allocates_nothing", func(t *testing.T) {
		pool := backends(t, 3, 2, 1)
		r := weighted.New(time.Second)
		r.Pick(pool, "")
		assert.Zero(t, testing.AllocsPerRun(100, func() { r.Pick(pool, "") }))
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 30} {
		pool := backends(b, slices.Repeat([]int{2}, n)...)
		b.Run(fmt.Sprintf("backends=%d", n), func(b *testing.B) {
			r := weighted.New(0)
			b.ReportAllocs()
			for b.Loop() {
				r.Pick(pool, "")
			}
		})
	}
}

func picks(r *weighted.RoundRobin, pool []*balancer.Backend, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = r.Pick(pool, "").Name()
	}
	return strings.Join(names, " ")
}

// backends are a, b, c and so on.
func backends(t testing.TB, weights ...int) (pool []*balancer.Backend) {
	for i, weight := range weights {
		b, err := balancer.NewBackend(string(rune('a'+i)), "127.0.0.1:80", weight)
		require.NoError(t, err)
		pool = append(pool, b)
	}
	return pool
}
