package hashring_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/exercise/hashring"
)

func TestPick(t *testing.T) {
	t.Run("sends_one_key_to_one_backend", func(t *testing.T) {
		pool := backends(t, "a b c d e")
		h := ring(t, 0)
		first := picks(t, h, pool, keys(50))
		require.NotContains(t, first, none, "all backends are available: Pick returns one of them for each key")
		assert.Equal(t, first, picks(t, h, pool, keys(50)), "the same 50 keys, asked for again: each belongs to one backend, and stays there")
	})

	t.Run("spreads_keys_over_all", func(t *testing.T) {
		pool := backends(t, "a b c d e")
		got := tally(picks(t, ring(t, 0), pool, keys(5000)))
		for _, b := range pool {
			require.InDelta(t, 1000, got[b.Name()], 300, "5000 keys, 5 backends: each should have about 1000, and %s has %d", b.Name(), got[b.Name()])
		}
	})

	t.Run("moves_only_the_keys_of_the_one_that_left", func(t *testing.T) {
		pool := numbered(t, 10)
		h := ring(t, 0)
		before := picks(t, h, pool, keys(5000))
		require.NotContains(t, before, none, "all backends are available: Pick returns one of them for each key")
		for _, way := range []struct {
			name string
			set  func(bool) bool
		}{
			{"is out of the pool", nil},
			{"is down, and still in the pool", pool[3].SetDown},
			{"is ejected, and still in the pool", pool[3].SetEjected},
			{"is draining, and still in the pool", pool[3].SetDraining},
		} {
			rest, set, way := pool, way.set, way.name
			if set == nil {
				rest = slices.Delete(slices.Clone(pool), 3, 4)
				set = func(bool) bool { return true }
			}
			set(true)
			after := picks(t, h, rest, keys(5000))
			set(false)
			moved, heirs := 0, map[string]int{}
			for i := range before {
				switch {
				case before[i] == "3":
					heirs[after[i]]++
				case before[i] != after[i]:
					moved++
				}
			}
			require.Zero(t, moved, "5000 keys, 10 backends, and backend 3 %s: %d keys of the other backends have moved, which were doing well where they were. All that is remembered of them is lost, at the moment when one backend less does the work. hash %% n does that: n is in every key's sum", way, moved)
			require.NotContains(t, heirs, "3", "backend 3 %s, and still has keys", way)
			for _, b := range slices.Delete(slices.Clone(pool), 3, 4) {
				require.Less(t, 10, heirs[b.Name()], "backend 3 %s: its 500 keys or so must spread over all 9 others, and went to %v. One that gets all of them is the next to break", way, heirs)
			}
		}
	})

	t.Run("moves_keys_only_to_a_newcomer", func(t *testing.T) {
		pool := numbered(t, 10)
		h := ring(t, 0)
		before, after := picks(t, h, pool[:9], keys(5000)), picks(t, h, pool, keys(5000))
		taken, moved := 0, 0
		for i := range before {
			switch {
			case after[i] == "9":
				taken++
			case before[i] != after[i]:
				moved++
			}
		}
		require.InDelta(t, 500, taken, 200, "5000 keys, and a tenth backend joins: it should get about a tenth")
		assert.Zero(t, moved, "5000 keys, and a tenth backend joins: that many moved between the others, for nothing")
	})

	t.Run("does_not_depend_on_the_order_of_the_pool", func(t *testing.T) {
		pool := backends(t, "a b c d e")
		h := ring(t, 0)
		before := picks(t, h, pool, keys(50))
		require.NotContains(t, before, none, "all backends are available: Pick returns one of them for each key")
		slices.Reverse(pool)
		assert.Equal(t, before, picks(t, h, pool, keys(50)), "the same backends, listed in another order, as another balancer may have them: a key belongs to a name, not to a place in the pool")
	})

	t.Run("gives_keys_by_weight", func(t *testing.T) {
		pool := weighted(t, 1, 1, 2)
		got := tally(picks(t, ring(t, 0), pool, keys(4000)))
		for i, want := range []int{1000, 1000, 2000} {
			require.InDelta(t, want, got[pool[i].Name()], float64(want)*0.3, "4000 keys, weights 1, 1 and 2: they got %v", got)
		}
	})

	t.Run("returns_nil_when_none_is_available", func(t *testing.T) {
		h := ring(t, 1.25)
		require.Equal(t, []string{none}, picks(t, h, nil, keys(1)), "the pool is empty: there is nothing to pick, and that is nil")
		pool := backends(t, "a b c")
		for _, b := range pool {
			b.SetDown(true)
		}
		require.Equal(t, []string{none}, picks(t, h, pool, keys(1)), "a, b and c are down: Pick returns nil")
		require.Equal(t, []string{none}, picks(t, h, pool[:1], keys(1)), "there is only a, and it is down: Pick returns nil")
		pool[1].SetDown(false)
		assert.Equal(t, []string{"b"}, picks(t, h, pool, keys(1)), "all were down, and b is up again")
	})

	t.Run("spreads_requests_without_a_key", func(t *testing.T) {
		pool := backends(t, "a b c d e")
		got := tally(picks(t, ring(t, 0), pool, make([]string, 1000)))
		for _, b := range pool {
			require.Less(t, 100, got[b.Name()], "1000 requests with an empty key, 5 backends: they went to %v. They belong to nobody, so they must spread over all: as a key like any other, the empty one crowds them all on one backend", got)
		}
	})

	t.Run("agrees_with_other_processes", func(t *testing.T) {
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program) // it comes to an end by itself
		cmd.Env = append(os.Environ(), other+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		require.NoError(t, err)
		pool := backends(t, "a b c d e")
		mine := picks(t, ring(t, 0), pool, keys(50))
		require.NotContains(t, mine, none, "all backends are available: Pick returns one of them for each key")
		assert.Equal(t, strings.Join(mine, " "), string(out), "the same 50 keys and 5 backends, in this process and in another one: where two balancers stand side by side, or one was restarted, they must agree. A hash whose seed is another one in each process (hash/maphash) does not")
	})

	t.Run("passes_the_bound_with_nobody", func(t *testing.T) {
		for _, row := range []struct {
			factor  float64
			weights []int
			down    int // so many of the last ones
		}{
			{1.25, []int{1, 1, 1, 1, 1}, 0},
			{1.25, []int{1, 1, 1, 1, 1}, 2},
			{1, []int{1, 1, 1, 1}, 0},
			{1.5, []int{1, 2, 5}, 0},
		} {
			pool := weighted(t, row.weights...)
			h := ring(t, row.factor)
			up := pool[:len(pool)-row.down]
			for _, b := range pool[len(up):] {
				b.SetDown(true)
				begin(b, 50) // what is not available does not count
			}
			weights := 0
			for _, b := range up {
				weights += b.Weight()
			}
			for total := range 200 {
				got := picks(t, h, pool, []string{"a song that everybody wants"})[0]
				i := slices.IndexFunc(up, func(b *balancer.Backend) bool { return b.Name() == got })
				require.GreaterOrEqual(t, i, 0, "%d backends are available, and Pick returned %s", len(up), got)
				bound := math.Ceil(row.factor * float64(total+1) * float64(up[i].Weight()) / float64(weights))
				require.Less(t, float64(up[i].Active()), bound, "factor %v, weights %v, of which the last %d are down; all requests have the same key, and %d are under way. Pick returned %s, which has %d of them. "+
					"It may have at most ceil(factor * (total+1) * weight / weights), which is %v, over those available: one key must not drown one backend while others are idle",
					row.factor, row.weights, row.down, total, got, up[i].Active(), bound)
				up[i].Begin()
			}
		}
	})

	t.Run("stays_while_there_is_room", func(t *testing.T) {
		h := ring(t, 1.25)
		for _, key := range keys(20) {
			pool := backends(t, "a b c d e")
			home := home(t, h, pool, key)
			for _, b := range pool {
				b.Begin()
			}
			pool[(slices.Index(pool, home)+1)%5].End()
			got := picks(t, h, pool, []string{key})
			require.Equal(t, []string{home.Name()}, got, "factor 1.25, 5 backends: %s, which has the key %s, has 1 request under way, three others too, one has none. There may be ceil(1.25 * (4+1) / 5) = 2 each, so the key must stay. Does this request count?", home.Name(), key)
			home.Begin()
			require.NotEqual(t, []string{home.Name()}, picks(t, h, pool, []string{key}), "%s now has 2 requests under way, the others 3 in all: there may be ceil(1.25 * (5+1) / 5) = 2 each, so it is full", home.Name())
			home.End()
			require.Equal(t, []string{home.Name()}, picks(t, h, pool, []string{key}), "%s has room again, and the key %s must come back", home.Name(), key)
		}
	})

	t.Run("gives_big_ones_more_room", func(t *testing.T) {
		h := ring(t, 1.25)
		tried := 0
		for _, key := range keys(20) {
			pool := weighted(t, 1, 1, 2)
			if home(t, h, pool, key) != pool[2] {
				continue
			}
			tried++
			begin(pool[0], 1)
			begin(pool[1], 1)
			begin(pool[2], 3)
			require.Equal(t, []string{"2"}, picks(t, h, pool, []string{key}), "factor 1.25, weights 1, 1 and 2; they have 1, 1 and 3 requests under way. Backend 2, which has the key %s, may have ceil(1.25 * (5+1) * 2 / 4) = 4: its own weight over the sum of all weights. So the key must stay", key)
		}
		assert.NotZero(t, tried, "20 keys, weights 1, 1 and 2: none of the keys went to the third")
	})

	// Each Begin has its End, and so there is always room somewhere, unless
	// counts change while Pick looks. Ends without a Begin bring about, at rest,
	// that the bound is below what each has.
	t.Run("finds_one_where_none_has_room", func(t *testing.T) {
		h := ring(t, 4)
		for _, key := range keys(10) {
			pool := backends(t, "a b c d e")
			home := home(t, h, pool, key)
			for _, b := range pool {
				b.End()
			}
			require.Equal(t, []string{home.Name()}, picks(t, h, pool, []string{key}), "all 5 backends are available, and counts that change while Pick looks can leave none with room. Here each has Active() -1, and the bound is ceil(4 * (-5+1) / 5) = -3. Pick must return the one of the highest score all the same, %s for the key %s: nil says that none is available, and the request would be refused", home.Name(), key)
		}
	})

	t.Run("spills_to_the_next_in_the_order_of_the_key", func(t *testing.T) {
		h := ring(t, 1.25)
		seconds := map[string]map[string]bool{}
		for _, key := range keys(200) {
			pool := backends(t, "a b c d e")
			var order []*balancer.Backend // as the backends before each go down
			for range 3 {
				order = append(order, home(t, h, pool, key))
				order[len(order)-1].SetDown(true)
			}
			for _, b := range order {
				b.SetDown(false)
			}
			for _, b := range pool {
				begin(b, 5)
			}
			for i := range 2 {
				begin(order[i], 5) // the bound is now 8, then 9
				require.Equal(t, order[i+1].Name(), picks(t, h, pool, []string{key})[0],
					"factor 1.25, 5 backends with 5 requests each, and 5 more for the first %d in the order of key %s, which are full then. When they are down, the key goes to %s, so it must go there now. Each key has an order of its own: if whatever overflows goes to the first one with room, that one is the next to overflow", i+1, key, order[i+1].Name())
			}
			if seconds[order[0].Name()] == nil {
				seconds[order[0].Name()] = map[string]bool{}
			}
			seconds[order[0].Name()][order[1].Name()] = true
		}
		for name, next := range seconds {
			assert.Len(t, next, 4, "the keys of %s, 40 or so, go on to %v when it is full: they should spread over all 4 others", name, next)
		}
	})

	t.Run("has_no_bound_at_factor_0", func(t *testing.T) {
		pool := backends(t, "a b c")
		h := ring(t, 0)
		home := home(t, h, pool, "ann")
		begin(home, 1000)
		assert.Equal(t, []string{home.Name()}, picks(t, h, pool, []string{"ann"}), "New(0): no bound. %s, which has the key, has 1000 requests under way, the others none: the key stays", home.Name())
	})

	t.Run("refuses_a_factor_below_1", func(t *testing.T) {
		for _, factor := range []float64{0.99, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
			_, err := hashring.New(factor)
			require.Error(t, err, "New(%v)", factor)
		}
		assert.Equal(t, []string{"a"}, picks(t, ring(t, 1), backends(t, "a"), keys(1)), "New(1), a pool of one")
	})

	t.Run("allocates_nothing", func(t *testing.T) {
		pool := numbered(t, 100) // what is made for a few may find room on the stack
		h := ring(t, 1.25)
		require.NotContains(t, picks(t, h, pool, keys(3)), none, "100 backends, and all are available")
		assert.Zero(t, testing.AllocsPerRun(100, func() { h.Pick(pool, "ann") }), "allocations of one Pick, with a pool of 100: a list, sorted for each request, is work for the garbage collector. The highest score is found without")
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 30, 300} {
		pool := numbered(b, n)
		b.Run(fmt.Sprintf("backends=%d", n), func(b *testing.B) {
			h, err := hashring.New(1.25)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				h.Pick(pool, "ann")
			}
		})
	}
}

// other is the environment variable that makes this program the other process.
const other = "HASHRING_TEST_OTHER"

func TestMain(m *testing.M) {
	if os.Getenv(other) == "" {
		os.Exit(m.Run())
	}
	h, err := hashring.New(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var pool []*balancer.Backend
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		b, err := balancer.NewBackend(name, "127.0.0.1:80", 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		pool = append(pool, b)
	}
	var all []string
	for _, key := range keys(50) {
		all = append(all, pick(h, pool, key))
	}
	fmt.Print(strings.Join(all, " "))
}

// none stands for a Pick that returned nil.
const none = "nil"

// pick is the name of what Pick returns. A panic is its answer, too.
func pick(h *hashring.HashRing, pool []*balancer.Backend, key string) (name string) {
	defer func() {
		if p := recover(); p != nil {
			name = fmt.Sprintf("panic (%v, %s)", p, regexp.MustCompile(`hashring\.go:\d+`).FindString(string(debug.Stack())))
		}
	}()
	if b := h.Pick(pool, key); b != nil {
		return b.Name()
	}
	return none
}

// picks are the names of what Pick returns for these keys. It fails if that
// takes long.
func picks(t *testing.T, h *hashring.HashRing, pool []*balancer.Backend, keys []string) []string {
	t.Helper()
	done := make(chan []string, 1)
	go func() {
		all := make([]string, len(keys))
		for i, key := range keys {
			all[i] = pick(h, pool, key)
		}
		done <- all
	}()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case all := <-done:
			return all
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "no end", "Pick has not returned after a second. Does its loop end when no backend is available, or none has room?")
	return nil
}

// home is the backend that has the key.
func home(t *testing.T, h *hashring.HashRing, pool []*balancer.Backend, key string) *balancer.Backend {
	t.Helper()
	name := picks(t, h, pool, []string{key})[0]
	i := slices.IndexFunc(pool, func(b *balancer.Backend) bool { return b.Name() == name && b.Available() })
	require.GreaterOrEqual(t, i, 0, "key %s: backends are available, and Pick returned %s", key, name)
	return pool[i]
}

func ring(t *testing.T, factor float64) *hashring.HashRing {
	t.Helper()
	h, err := hashring.New(factor)
	require.NoError(t, err, "New(%v)", factor)
	return h
}

// keys are n of them, all different.
func keys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("guest-", i)
	}
	return all
}

func begin(b *balancer.Backend, n int) {
	for range n {
		b.Begin()
	}
}

func tally(names []string) map[string]int {
	all := map[string]int{}
	for _, name := range names {
		all[name]++
	}
	return all
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

// numbered are named by their place.
func numbered(t testing.TB, n int) []*balancer.Backend {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return backends(t, strings.Join(names, " "))
}

// weighted are named by their place, too.
func weighted(t testing.TB, weights ...int) (pool []*balancer.Backend) {
	t.Helper()
	for i, weight := range weights {
		b, err := balancer.NewBackend(fmt.Sprint(i), "127.0.0.1:80", weight)
		require.NoError(t, err)
		pool = append(pool, b)
	}
	return pool
}
