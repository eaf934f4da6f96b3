package roundrobin_test

import (
	"fmt"
	"math"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
)

func TestPick(t *testing.T) {
	t.Run("gives_each_backend_its_turn", func(t *testing.T) {
		got := picks(t, roundrobin.New(0), backends(t, "a b c"), 6)
		assert.Equal(t, "a b c a b c", got, "New(0), a pool of a, b and c, all available: 6 calls of Pick, one after the other, return each in its turn")
		pool := backends(t, "a b c")
		r, got := roundrobin.New(0), ""
		within(t, func() string {
			for _, key := range []string{"ann", "ann", "bob", "ann", "ann", "bob"} {
				got = strings.TrimSpace(got + " " + pickFor(r, pool, key))
			}
			return ""
		})
		assert.Equal(t, "a b c a b c", got, "New(0), a pool of a, b and c, all available: 6 calls of Pick with the keys ann ann bob ann ann bob. Round robin takes turns whose request it may be: the key makes no difference")
	})

	t.Run("begins_where_it_is_told", func(t *testing.T) {
		pool := backends(t, "a b c")
		assert.Equal(t, "b c a", picks(t, roundrobin.New(1), pool, 3), "New(1), a pool of a, b and c: begin at pool[1 % 3], so that several balancers do not all begin with the same one")
		assert.Equal(t, "c a b", picks(t, roundrobin.New(5), pool, 3), "New(5), a pool of a, b and c: begin at pool[5 % 3]")
	})

	t.Run("skips_what_is_not_available", func(t *testing.T) {
		pool := backends(t, "a b c")
		r := roundrobin.New(0)
		for _, state := range []struct {
			name string
			set  func(bool) bool
		}{{"down", pool[1].SetDown}, {"ejected", pool[1].SetEjected}, {"draining", pool[1].SetDraining}} {
			state.set(true)
			got := picks(t, r, pool, 6)
			require.NotContains(t, got, "b", "b is %s: it must get no request", state.name)
			require.NotContains(t, got, none, "b is %s, a and c are available: Pick must find them", state.name)
			state.set(false)
			require.Contains(t, picks(t, r, pool, 6), "b", "b was %s, and is available again: it must get its turn", state.name)
		}
	})

	t.Run("gives_the_neighbour_of_a_missing_one_no_second_turn", func(t *testing.T) {
		for _, row := range []struct{ pool, down string }{
			{"a b c", "b"}, {"a b c", "a"}, {"a b c", "c"}, {"a b c d e", "b c"}, {"a b c d e", "a e"},
		} {
			pool := backends(t, row.pool)
			down(pool, row.down)
			up := len(pool) - len(strings.Fields(row.down))
			got := picks(t, roundrobin.New(0), pool, 4*up)
			require.Equal(t, even(pool, 4), tally(got), "a pool of %s, without %s: %d calls of Pick returned %s. "+
				"Each of the %d left must get 4. If the turn of a missing one falls to its neighbour, that one carries double load, and may be the next to break: it must use up a turn of its own",
				row.pool, row.down, 4*up, got, up)
		}
	})

	t.Run("returns_nil_when_none_is_available", func(t *testing.T) {
		r := roundrobin.New(0)
		for _, empty := range [][]*balancer.Backend{nil, {}} {
			require.Equal(t, none, picks(t, r, empty, 1), "the pool is empty: there is nothing to pick, and that is nil")
		}
		pool := backends(t, "a b c")
		down(pool, "a b c")
		require.Equal(t, none+" "+none, picks(t, r, pool, 2), "a, b and c are down: Pick comes back, and returns nil")
		pool[1].SetDown(false)
		assert.Equal(t, "b b", picks(t, r, pool, 2), "all were down, and b is up again: it is the one to pick")
	})

	t.Run("follows_a_pool_that_changes", func(t *testing.T) {
		all := backends(t, "a b c d e f g")
		r := roundrobin.New(6)
		for _, n := range []int{7, 2, 1, 5, 3, 7} {
			got := picks(t, r, all[:n], 3*n)
			require.Equal(t, even(all[:n], 3), tally(got), "the pool now has %d backends: %d calls of Pick returned %s, and each backend must get 3", n, 3*n, got)
		}
	})

	// What a caller does in several steps, another may come between. So here,
	// after one step of a Pick, another Pick runs from its beginning to its end.
	t.Run("gives_no_turn_to_two_callers", func(t *testing.T) {
		pool := backends(t, "a b c")
		for step := 1; step <= 3; step++ {
			turn := &interrupted{}
			r := roundrobin.NewWith(turn)
			var all []string
			for range 3 {
				var second string
				turn.after(step, 1, func() { second = pick(r, pool) })
				first := picks(t, r, pool, 1)
				turn.wait(t)
				if second == "" { // it has fewer steps than that
					second = picks(t, r, pool, 1)
				}
				require.NotEqual(t, first, second, "two calls of Pick at once: one took its step %d on r.turn, then the other ran from beginning to end, then the first one went on. Both returned %s: they read the same turn. To look at r.turn and to change it must be one step (CompareAndSwap)", step, first)
				all = append(all, first, second)
			}
			got := strings.Join(all, " ")
			require.Equal(t, even(pool, 2), tally(got), "3 times 2 calls of Pick at once: they returned %s, and each of a, b and c must get 2. When CompareAndSwap says no, read r.turn again and start over; nil means that none is available", got)
		}
	})

	t.Run("finds_the_only_one_left_whoever_comes_between", func(t *testing.T) {
		pool := backends(t, "a b")
		down(pool, "a")
		turn := &interrupted{}
		r := roundrobin.NewWith(turn)
		turn.after(1, 50, func() { pick(r, pool) })
		got := picks(t, r, pool, 1)
		turn.wait(t)
		assert.Equal(t, "b", got, "a pool of a and b, a is down, and after each step of this Pick on r.turn another one runs: the others take b's turns, and this Pick gave up. Taking as many turns as there are backends is not enough. It may return nil only if none is available")
	})

	t.Run("stays_even_with_a_hundred_callers", func(t *testing.T) {
		const callers, each = 100, 60
		pool := backends(t, "a b c d e")
		down(pool, "b d")
		r := roundrobin.New(0)
		var mu sync.Mutex
		got := map[string]int{}
		within(t, func() string {
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					mine := map[string]int{}
					for range each {
						mine[pick(r, pool)]++
					}
					mu.Lock()
					defer mu.Unlock()
					for name, n := range mine {
						got[name] += n
					}
				})
			}
			all.Wait()
			return ""
		})
		assert.Equal(t, even(pool, callers*each/3), got, "a pool of 5, b and d are down: %d callers at once call Pick %d times each, and each of the 3 left must get its exact share", callers, each)
	})

	t.Run("goes_on_evenly_where_the_counter_ends", func(t *testing.T) {
		pool := backends(t, "a b c")
		const start uint64 = math.MaxUint64 - 4
		got := picks(t, roundrobin.New(start), pool, 12)
		first := pool[start%3].Name()
		want := strings.Repeat("a b c ", 5)
		want = want[strings.Index(want, first):][:len("a b c")*4+3]
		assert.Equal(t, want, got, "New(%d), five turns before the end of a uint64, a pool of 3: after its end such a counter is 0, and 1<<64 is no multiple of 3, so one backend gets two turns running. As an int it is negative. Keep the counter small: set it to the place in the pool behind the one that you took", start)

		for _, left := range []string{"a", "b", "c"} {
			pool := backends(t, "a b c")
			down(pool, strings.ReplaceAll("a b c", left, ""))
			const last uint64 = math.MaxUint64
			got := picks(t, roundrobin.New(last), pool, 2)
			assert.Equal(t, left+" "+left, got, "New(%d), the largest uint64, a pool of a, b and c, and only %s is available: any start is right. Behind that number comes 0, so (turn + i) %% 3 is 0 for i = 0 and again for i = 1, and a backend is never looked at. Take the remainder of turn first, then add", last, left)
		}
	})

	t.Run("costs_the_same_in_a_large_pool", func(t *testing.T) {
		small, large := numbered(t, 3), numbered(t, 10_000)
		cost := func(pool []*balancer.Backend) time.Duration {
			r := roundrobin.New(0)
			best := time.Hour
			within(t, func() string {
				for range 5 { // the quickest counts: the others were held up by something else
					begin := time.Now()
					for range 100 {
						if got := pick(r, pool); got == none {
							return "all are available, and Pick returned nil"
						}
					}
					best = min(best, time.Since(begin))
				}
				return ""
			})
			return max(best, time.Microsecond)
		}
		few, many := cost(small), cost(large)
		assert.Less(t, many, 50*few, "100 calls of Pick take %v with 3 backends and %v with 10,000, all available: the first one that it looks at is the one, so the size of the pool makes no difference", few, many)
	})

	t.Run("allocates_nothing", func(t *testing.T) {
		pool := numbered(t, 100) // what is made for a few may find room on the stack
		r := roundrobin.New(0)
		require.NotContains(t, picks(t, r, pool, 3), none, "100 backends, and all are available")
		assert.Zero(t, testing.AllocsPerRun(100, func() { r.Pick(pool, "") }), "allocations of one Pick, with a pool of 100: a list of those available, made for each request, is work for the garbage collector")
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		pool := numbered(b, n)
		b.Run(fmt.Sprintf("backends=%d", n), func(b *testing.B) {
			r := roundrobin.New(0)
			b.ReportAllocs()
			for b.Loop() {
				r.Pick(pool, "")
			}
		})
	}
	b.Run("at_once", func(b *testing.B) {
		pool := numbered(b, 3)
		r := roundrobin.New(0)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				r.Pick(pool, "")
			}
		})
	})
}

// none stands for a Pick that returned nil.
const none = "nil"

// pick is the name of what Pick returns.
func pick(r *roundrobin.RoundRobin, pool []*balancer.Backend) string { return pickFor(r, pool, "") }

// pickFor is that for a request of this key. A panic is its answer, too.
func pickFor(r *roundrobin.RoundRobin, pool []*balancer.Backend, key string) (name string) {
	defer func() {
		if p := recover(); p != nil {
			name = fmt.Sprintf("panic (%v, %s)", p, regexp.MustCompile(`roundrobin\.go:\d+`).FindString(string(debug.Stack())))
		}
	}()
	if b := r.Pick(pool, key); b != nil {
		return b.Name()
	}
	return none
}

// picks are the names of n of them. It fails if that takes long, or panics.
func picks(t *testing.T, r *roundrobin.RoundRobin, pool []*balancer.Backend, n int) string {
	t.Helper()
	var all []string
	within(t, func() string {
		for range n {
			all = append(all, pick(r, pool))
		}
		return ""
	})
	got := strings.Join(all, " ")
	require.NotContains(t, got, "panic", "a pool of %d, called %d times: Pick must never panic, or the request dies with it. %s", len(pool), n, cause(got))
	return got
}

// cause explains the panic that got tells of.
func cause(got string) string {
	switch {
	case strings.Contains(got, "divide by zero"):
		return "x % n divides by zero where n is the length of a pool, or of a list of those available, and there are none"
	case strings.Contains(got, "out of range [-"):
		return "An index was negative: as an int, a uint64 of the upper half is, and in Go -5 % 3 is -2. Take the remainder as a uint64"
	case strings.Contains(got, "out of range"):
		return "An index was past the end of the pool, which may be smaller than at the last call, or empty: take the remainder by len(pool) last"
	}
	return ""
}

// within fails unless f returns soon, and "".
func within(t *testing.T, f func() (fault string)) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- f() }()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case fault := <-done:
			require.Empty(t, fault)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "no end", "Pick has not returned after a second. Does its loop end when no backend is available? Does every way out unlock?")
}

// interrupted is a counter that lets somebody in after a step of its user's.
type interrupted struct {
	atomic.Uint64

	mu       sync.Mutex // guards what follows
	skip     int        // steps that nobody comes after
	left     int        // how many times somebody still comes
	between  func()
	arrivals sync.WaitGroup
}

// after lets between run once its user has taken that many steps, and after
// each further one, times in all.
func (c *interrupted) after(step, times int, between func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skip, c.left, c.between = step-1, times, between
}

// wait waits for all who came between.
func (c *interrupted) wait(t *testing.T) {
	t.Helper()
	c.after(1, 0, nil)
	within(t, func() string { c.arrivals.Wait(); return "" })
}

// step lets somebody in, who is not interrupted in turn, and waits until he is
// done; but not long, since its user may hold a lock that keeps him out.
func (c *interrupted) step() {
	c.mu.Lock()
	if c.skip > 0 || c.left == 0 {
		c.skip = max(0, c.skip-1)
		c.mu.Unlock()
		return
	}
	left, between := c.left-1, c.between
	c.left = 0
	c.mu.Unlock()

	done := make(chan struct{})
	c.arrivals.Go(func() {
		defer close(done)
		between()
	})
	select {
	case <-done:
		c.mu.Lock()
		c.left = left
		c.mu.Unlock()
	case <-time.After(50 * time.Millisecond): // kept out, as all others will be
	}
}

func (c *interrupted) Load() uint64 {
	defer c.step()
	return c.Uint64.Load()
}

func (c *interrupted) Store(turn uint64) {
	defer c.step()
	c.Uint64.Store(turn)
}

func (c *interrupted) Add(delta uint64) uint64 {
	defer c.step()
	return c.Uint64.Add(delta)
}

func (c *interrupted) CompareAndSwap(old, turn uint64) bool {
	defer c.step()
	return c.Uint64.CompareAndSwap(old, turn)
}

// backends are available, and have these names.
func backends(t testing.TB, names string) (pool []*balancer.Backend) {
	t.Helper()
	for _, name := range strings.Fields(names) {
		b, err := balancer.NewBackend(name, "127.0.0.1:80", 1)
		require.NoError(t, err)
		pool = append(pool, b)
	}
	return pool
}

func numbered(t testing.TB, n int) []*balancer.Backend {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("backend-", i)
	}
	return backends(t, strings.Join(names, " "))
}

// down takes those of these names out.
func down(pool []*balancer.Backend, names string) {
	for _, b := range pool {
		if strings.Contains(" "+names+" ", " "+b.Name()+" ") {
			b.SetDown(true)
		}
	}
}

// tally counts each name.
func tally(names string) map[string]int {
	all := map[string]int{}
	for _, name := range strings.Fields(names) {
		all[name]++
	}
	return all
}

// even is the tally in which each that is available has n.
func even(pool []*balancer.Backend, n int) map[string]int {
	all := map[string]int{}
	for _, b := range pool {
		if b.Available() {
			all[b.Name()] = n
		}
	}
	return all
}
