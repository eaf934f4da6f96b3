package cacheaside_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/06-database-cache/exercise/cacheaside"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
)

func TestExpiration(t *testing.T) {
	expiration := func(t *testing.T, ttl time.Duration, jitter, random float64) (seconds int32) {
		t.Helper()
		soon(t, func() { seconds = cacheaside.Expiration(ttl, jitter, random) })
		return seconds
	}

	t.Run("is_in_seconds", func(t *testing.T) {
		for ttl, want := range map[time.Duration]int32{10 * time.Second: 10, time.Minute: 60, 24 * time.Hour: 86400} {
			require.Equal(t, want, expiration(t, ttl, 0, 0), "Expiration(%s, 0, 0): nothing is taken off, and memcached counts seconds", ttl)
		}
	})

	t.Run("is_never_for_ever", func(t *testing.T) {
		for _, ttl := range []time.Duration{999 * time.Millisecond, 300 * time.Millisecond, 1, 0} {
			require.EqualValues(t, 1, expiration(t, ttl, 0, 0), "Expiration(%s, 0, 0): less than a second must not become 0, which tells memcached to keep it for ever (doc/protocol.txt, exptime). 1 is the least there is", ttl)
		}
	})

	t.Run("rounds_up", func(t *testing.T) {
		require.EqualValues(t, 2, expiration(t, 1200*time.Millisecond, 0, 0), "Expiration(1.2 s, 0, 0): what is no whole second is rounded up")
	})

	t.Run("is_shortened_at_random", func(t *testing.T) {
		for random, want := range map[float64]int32{0: 160, 0.5: 140, 0.75: 130} { // no rounding, in whatever order it is calculated
			require.Equal(t, want, expiration(t, 160*time.Second, 0.25, random), "Expiration(160 s, 0.25, %g): shortened by the share 0.25 of it, times %g", random, random)
		}
	})

	t.Run("rounds_what_is_left", func(t *testing.T) {
		require.EqualValues(t, 1, expiration(t, 1100*time.Millisecond, 0.5, 0.9), "Expiration(1.1 s, 0.5, 0.9): 0.605 s are left, and rounded up. To round 1.1 s first would make 2 s of it, of which 1.1 s are left")
	})

	t.Run("is_never_for_ever_when_shortened", func(t *testing.T) {
		require.EqualValues(t, 1, expiration(t, time.Second, 0.9, 0.9), "Expiration(1 s, 0.9, 0.9): 0.19 s are left, which must not become 0, for ever")
	})

	t.Run("is_never_a_date", func(t *testing.T) {
		const month = 30 * 24 * 60 * 60
		for _, ttl := range []time.Duration{31 * 24 * time.Hour, 365 * 24 * time.Hour, 100_000 * 24 * time.Hour, (month + 1) * time.Second} {
			require.EqualValues(t, month, expiration(t, ttl, 0, 0), "Expiration(%s, 0, 0): more seconds than 30 days have, %d, are a date for memcached, in seconds since 1970: in that year, and so over (doc/protocol.txt, exptime)", ttl, month)
		}
	})

	t.Run("is_bounded_before_it_is_shortened", func(t *testing.T) {
		const month = 30 * 24 * 60 * 60
		require.EqualValues(t, month*3/4, expiration(t, 60*24*time.Hour, 0.5, 0.5), "Expiration(60 days, 0.5, 0.5): bounded to 30 days, and a quarter of these taken off. Who shortens first, to 45 days, and then bounds, has all such items expire in one moment")
	})
}

func TestPeek(t *testing.T) {
	t.Run("returns_what_is_kept", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.put(t, `{"Name":"ramen"}`, cacheaside.Present)
		assert.Equal(t, outcome{v: ramen, found: true}, s.peek(t), `Peek, with the item {"Name":"ramen"} under the key, whose flags are Present`)
	})

	t.Run("returns_that_there_is_none", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.put(t, "", cacheaside.Absent)
		got := s.peek(t)
		assert.Equal(t, outcome{}, got, "Peek, with an item under the key whose flags are Absent: that there is none is an answer, without an error")
		assert.Equal(t, []string{"get v1:dish"}, s.calls(), "Peek, with an item under the key whose flags are Absent: what the cache was asked")
	})

	t.Run("misses", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		assert.ErrorIs(t, s.peek(t).err, memcache.ErrCacheMiss, "Peek, with nothing under the key")
	})

	t.Run("takes_a_broken_value_for_a_miss", func(t *testing.T) {
		for _, value := range []string{`{"Name":"ram`, `{"Name":"ramen","Price":"a lot"}`, ""} {
			s := newScene(t, cacheaside.Config{})
			s.put(t, value, cacheaside.Present)
			got := s.peek(t)
			require.ErrorIs(t, got.err, memcache.ErrCacheMiss, "Peek, with the item %q under the key, which decode does not understand: that is a miss, and the error is or wraps memcache.ErrCacheMiss. What another version of the program has left there is no reason to fail", value)
			require.Zero(t, got.v, "Peek, with the item %q under the key, which is broken in its middle: no half of it is returned", value)
		}
	})

	t.Run("takes_unknown_flags_for_a_miss", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.put(t, `{"Name":"ramen"}`, 77)
		assert.ErrorIs(t, s.peek(t).err, memcache.ErrCacheMiss, "Peek, with an item under the key whose flags are 77: decode says that it is not Get's")
	})

	t.Run("tells_a_fault", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.fail("get")
		assert.ErrorIs(t, s.peek(t).err, errDown, "Peek, while the server does not answer: the error is store's, and no miss")
	})
}

func TestGet(t *testing.T) {
	t.Run("loads_what_is_not_kept", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get, with nothing in the cache: load says ramen")
		require.Equal(t, 1, s.loads, "with nothing in the cache, load is called once")
	})

	t.Run("loads_in_the_callers_context", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.get(t, ramen, true, nil)
		require.NotNil(t, s.ctx, "with nothing in the cache, load is called")
		assert.Equal(t, "7", s.ctx.Value(traceKey{}), "a value in load's context: it is the one that Get was called with")
	})

	t.Run("tells_load_that_the_caller_left", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		s.loading = cancel
		s.getIn(t, ctx, ramen, true, nil)
		require.NotNil(t, s.ctx, "with nothing in the cache, load is called")
		assert.Equal(t, context.Canceled, s.ctx.Err(), "the caller has left while load ran: the error of load's context, so that the database need not go on")
	})

	t.Run("returns_what_was_loaded_though_the_caller_left", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		s.loading = cancel
		require.Equal(t, outcome{v: ramen, found: true}, s.getIn(t, ctx, ramen, true, nil), "the caller has left while load ran, and load says ramen all the same: it is load that looks at ctx")
		assert.Equal(t, `{"Name":"ramen","Price":0}`, string(s.kept(t).Value), "the caller has left while load ran, and load says ramen all the same: the work is done, and kept for who comes next")
	})

	t.Run("keeps_what_it_loaded", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.get(t, ramen, true, nil)
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, stew, true, nil), "Get, and Get again: load said ramen at first, and would say stew now, but ramen is kept")
		require.Equal(t, 1, s.loads, "calls of load, of two calls of Get: the second one finds what the first has kept")
	})

	t.Run("asks_the_cache_once_for_a_hit", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.put(t, `{"Name":"ramen"}`, cacheaside.Present)
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, stew, true, nil), "Get, with ramen in the cache")
		assert.Equal(t, []string{"get v1:dish"}, s.calls(), "what the cache was asked, for one hit")
	})

	t.Run("keeps_a_value_for_its_TTL", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{TTL: 80 * time.Second, AbsentTTL: 16 * time.Second, Jitter: 0.25, Rand: func() float64 { return 0.75 }})
		s.get(t, ramen, true, nil)
		assert.EqualValues(t, 65, s.kept(t).Expiration, "the item's Expiration: TTL is 80 s, Jitter 0.25, and Rand says 0.75, so 15 s are taken off (see Expiration)")
	})

	t.Run("asks_Rand_each_time", func(t *testing.T) {
		says := 0.25
		s := newScene(t, cacheaside.Config{TTL: 80 * time.Second, Jitter: 0.25, Rand: func() float64 { return says }})
		s.get(t, ramen, true, nil)
		require.EqualValues(t, 75, s.kept(t).Expiration, "the item's Expiration: TTL is 80 s, Jitter 0.25, and Rand says 0.25, so 5 s are taken off")
		says = 0.75
		s.memory.Forget()
		s.get(t, ramen, true, nil)
		assert.EqualValues(t, 65, s.kept(t).Expiration, "the next item's Expiration, when Rand says 0.75: 15 s are taken off. With one random number for all of them, all expire in one moment")
	})

	t.Run("remembers_that_there_is_none", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		require.Equal(t, outcome{}, s.get(t, dish{}, false, nil), "Get, with nothing in the cache: load says that there is none")
		require.Equal(t, outcome{}, s.get(t, ramen, true, nil), "Get again: load said at first that there is none, and would say ramen now, but the none is kept, for a while")
		require.Equal(t, 1, s.loads, "calls of load, of two calls of Get: who asks for what is not there, again and again, must not reach the database each time")
	})

	t.Run("remembers_that_there_is_none_for_less_time", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{TTL: 80 * time.Second, AbsentTTL: 16 * time.Second, Jitter: 0.25, Rand: func() float64 { return 0.75 }})
		s.get(t, dish{}, false, nil)
		assert.EqualValues(t, 13, s.kept(t).Expiration, "the item's Expiration, as load said that there is none: AbsentTTL is 16 s, Jitter 0.25, and Rand says 0.75, so 3 s are taken off")
	})

	t.Run("keeps_a_value_for_its_TTL_after_an_absence", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{TTL: 80 * time.Second, AbsentTTL: 16 * time.Second, Jitter: 0.25, Rand: func() float64 { return 0.75 }})
		s.get(t, dish{}, false, nil)
		s.memory.Forget()
		s.get(t, ramen, true, nil)
		assert.EqualValues(t, 65, s.kept(t).Expiration, "load said at first that there is none, and then ramen, of which TTL is 80 s, Jitter 0.25, and Rand says 0.75: ramen's Expiration. An Aside is used by many at once, and changes nothing of its config")
	})

	t.Run("returns_a_failure_as_it_is", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		assert.Equal(t, errDatabase, s.get(t, ramen, true, errDatabase).err, "Get, with nothing in the cache: load returned this error, and so does Get")
	})

	t.Run("never_keeps_a_failure", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.get(t, dish{}, false, errDatabase)
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "load failed at first, and says ramen now: the second Get. If it says that there is none, a failure was kept as an absence. It says nothing about the dish, and a second's outage of the database would be served for as long as the TTL")
	})

	t.Run("never_keeps_what_came_with_a_failure", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		require.Equal(t, errDatabase, s.get(t, ramen, true, errDatabase).err, "Get, with nothing in the cache: load returned ramen, that it was found, and this error")
		assert.Equal(t, []string{"get v1:dish"}, s.calls(), "what the cache was asked, when load returned ramen, that it was found, and an error: with an error, the rest means nothing. Look at it first")
	})

	t.Run("replaces_a_broken_value", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.put(t, `{"Name":`, cacheaside.Present)
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), `Get, with the broken item {"Name": in the cache: it is a miss, so load is called, and says ramen`)
		require.Equal(t, `{"Name":"ramen","Price":0}`, string(s.kept(t).Value), `the item, after a Get that found the broken item {"Name": there: what was loaded replaces it, or each Get would load`)
	})

	t.Run("loads_for_a_key_that_the_cache_refuses", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.key = "two words"
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get of the key %q, which the cache refuses by memcache.ErrMalformedKey: there is no answer, so load is called, and says ramen", s.key)
	})

	t.Run("loads_when_the_cache_is_down", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.fail("get")
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get, while the cache does not answer: load is called, and says ramen. A cache makes things quick, and without it they are slow, not broken")
	})

	t.Run("does_not_wait_for_a_dead_cache_twice", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.fail("get")
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get, while the cache does not answer: load says ramen")
		assert.Equal(t, []string{"get v1:dish"}, s.calls(), "what the cache was asked: to get failed, and each call of a server that hangs lasts until the timeout. To set as well would wait for it once more")
	})

	t.Run("does_not_mind_a_cache_that_cannot_keep", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		s.fail("set")
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get, while the cache fails to set: load said ramen, and that is what the caller wanted")
	})

	t.Run("keeps_nothing_that_is_too_large", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{MaxValue: 100})
		large := dish{Name: strings.Repeat("n", 100)}
		require.Equal(t, outcome{v: large, found: true}, s.get(t, large, true, nil), "Get, with MaxValue 100: load says a dish whose name alone has 100 octets")
		assert.Equal(t, []string{"get v1:dish"}, s.calls(), "what the cache was asked, with MaxValue 100, for a value that is larger: a.item is nil, and nothing is set")
	})
}

func TestGetAtOnce(t *testing.T) {
	t.Run("none_waits_for_another", func(t *testing.T) {
		s := newScene(t, cacheaside.Config{})
		inside, leave := make(chan struct{}), make(chan struct{})
		enter, free := sync.OnceFunc(func() { close(inside) }), sync.OnceFunc(func() { close(leave) })
		defer free()
		first := make(chan string, 1)
		go func() {
			first <- panics.In(func() {
				_, _, _ = s.aside.Get(t.Context(), s.store, kv.Key("slow"), func(context.Context) (dish, bool, error) {
					enter()
					<-leave
					return stew, true, nil
				})
			})
		}()
		select {
		case <-inside:
		case fault := <-first:
			require.FailNow(t, "load was not called", "Get, with nothing in the cache, has returned without it %s", fault)
		case <-time.After(time.Second):
			require.FailNow(t, "load was not called", "Get, with nothing in the cache, for a second")
		}
		require.Equal(t, outcome{v: ramen, found: true}, s.get(t, ramen, true, nil), "Get of one dish, while the load of another one takes its time: an Aside is used by many goroutines at once, and a lock around load would have all of them wait for the slowest")
		free()
		select {
		case fault := <-first:
			require.Empty(t, fault, "Get, whose load took its time, panicked")
		case <-time.After(time.Second):
			require.FailNow(t, "Get does not return", "its load has returned a second ago")
		}
	})
}

// The same, over a socket: hit, miss, absent.
func TestServers(t *testing.T) {
	mctest.Each(t, func(t *testing.T, c *memcache.Client) {
		t.Run("hit", func(t *testing.T) {
			s := newScene(t, cacheaside.Config{})
			s.store = c
			s.key = kv.Key("hit")
			s.get(t, ramen, true, nil)
			require.Equal(t, outcome{v: ramen, found: true}, s.get(t, stew, true, nil), "Get, and Get again: load said ramen at first, and would say stew now")
			assert.Equal(t, 1, s.loads, "calls of load")
		})
		t.Run("absent", func(t *testing.T) {
			s := newScene(t, cacheaside.Config{})
			s.store = c
			s.key = kv.Key("absent")
			s.get(t, dish{}, false, nil)
			require.Equal(t, outcome{}, s.get(t, ramen, true, nil), "Get, and Get again: load said that there is none at first, and would say ramen now")
			assert.Equal(t, 1, s.loads, "calls of load")
		})
		t.Run("miss", func(t *testing.T) {
			s := newScene(t, cacheaside.Config{})
			s.store = c
			s.key = kv.Key("miss")
			s.get(t, ramen, true, nil)
			_ = c.Delete(s.key)
			require.Equal(t, outcome{v: stew, found: true}, s.get(t, stew, true, nil), "Get, delete, and Get again: load said ramen at first, and says stew now")
		})
	})
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := cacheaside.New[dish](cacheaside.Config{TTL: -1, AbsentTTL: -2, Jitter: 1, MaxValue: kv.MaxValue + 1})
		require.Error(t, err)
		for _, part := range []string{"TTL is -1ns", "AbsentTTL is -2ns", "Jitter is 1", "MaxValue is"} {
			assert.Contains(t, err.Error(), part)
		}
	})
}

type dish struct {
	Name  string
	Price int
}

var (
	ramen = dish{Name: "ramen"}
	stew  = dish{Name: "stew"}

	errDatabase = errors.New("database: connection refused")
	errDown     = errors.New("cache: i/o timeout")
)

type traceKey struct{} // of a value in the caller's context

// scene is an Aside, and a cache for it.
type scene struct {
	aside  *cacheaside.Aside[dish]
	memory *kvtest.Memory
	store  kv.Store // memory, unless a test has set another one
	key    string

	puts    int
	loads   int
	loading func()          // is called while load runs; may be nil
	ctx     context.Context // of the last call of load
}

func newScene(t *testing.T, c cacheaside.Config) *scene {
	t.Helper()
	aside, err := cacheaside.New[dish](c)
	require.NoError(t, err)
	m := &kvtest.Memory{}
	return &scene{aside: aside, memory: m, store: m, key: kv.Key("dish")}
}

// put keeps an item, as somebody did earlier.
func (s *scene) put(t *testing.T, value string, flags uint32) {
	t.Helper()
	s.puts++
	require.NoError(t, s.memory.Set(&memcache.Item{Key: s.key, Value: []byte(value), Flags: flags}))
}

// fail has all calls of this kind fail.
func (s *scene) fail(op string) {
	s.memory.Before(func(c kvtest.Call) error {
		if c.Op == op {
			return fmt.Errorf("%s: %w", c, errDown)
		}
		return nil
	})
}

// calls is what the cache was asked, but for what put did.
func (s *scene) calls() (all []string) {
	for _, c := range s.memory.Calls()[s.puts:] {
		all = append(all, c.String())
	}
	return all
}

// kept is the item that was kept last.
func (s *scene) kept(t *testing.T) *memcache.Item {
	t.Helper()
	calls := s.memory.Calls()
	for i := len(calls) - 1; i >= 0; i-- {
		if calls[i].Item != nil {
			return calls[i].Item
		}
	}
	require.FailNow(t, "nothing was kept", "load has an answer, and the cache is well: the answer is set")
	return nil
}

// outcome is what Get or Peek returned.
type outcome struct {
	v     dish
	found bool
	err   error
}

func (s *scene) peek(t *testing.T) (got outcome) {
	t.Helper()
	soon(t, func() { got.v, got.found, got.err = s.aside.Peek(s.store, s.key) })
	return got
}

// get calls Get, with a load that says this.
func (s *scene) get(t *testing.T, v dish, found bool, err error) (got outcome) {
	t.Helper()
	return s.getIn(t, context.WithValue(t.Context(), traceKey{}, "7"), v, found, err)
}

func (s *scene) getIn(t *testing.T, ctx context.Context, v dish, found bool, err error) (got outcome) {
	t.Helper()
	soon(t, func() {
		got.v, got.found, got.err = s.aside.Get(ctx, s.store, s.key, func(ctx context.Context) (dish, bool, error) {
			s.loads++
			s.ctx = ctx
			if s.loading != nil {
				s.loading()
			}
			return v, found, err
		})
	})
	return got
}

// patience is how long a call may take. Once one has not returned, the others are not
// waited for as long.
var patience = time.Second

// soon fails unless f returns soon.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- panics.In(f) }()
	select {
	case fault := <-done:
		require.Empty(t, fault, "it panicked")
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no end", "it has not returned, and nothing here takes time: is there a loop that does not end, or a lock that somebody holds?")
	}
}

func BenchmarkHit(b *testing.B) {
	aside, err := cacheaside.New[dish](cacheaside.Config{})
	require.NoError(b, err)
	store := one{&memcache.Item{Key: "v1:dish", Value: []byte(`{"Name":"ramen"}`), Flags: cacheaside.Present}}
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = aside.Get(b.Context(), store, "v1:dish", nil)
	}
}

// one is a store of one item.
type one struct{ item *memcache.Item }

func (o one) Get(string) (*memcache.Item, error) { return o.item, nil }
func (o one) Set(*memcache.Item) error           { return nil }
