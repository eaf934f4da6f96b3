package degrade_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/exercise/degrade"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
)

// The numbers of the tests.
const (
	failures = 3
	slow     = 80 * time.Millisecond
	retry    = 30 * time.Second
)

const key = "v1:menu"

var (
	errDown = errors.New("cache: i/o timeout")
	soup    = &memcache.Item{Key: key, Value: []byte("soup"), Expiration: 60}
)

func TestCache(t *testing.T) {
	t.Run("makes_calls_while_all_is_well", func(t *testing.T) {
		s := newScene(t)
		require.NoError(t, s.call(t, func() error { return s.cache.Set(soup) }), "Set, of a cache that is well")
		require.Equal(t, 1, s.made(), "calls that reached the cache itself, of one Set, while all is well")
		item := (*memcache.Item)(nil)
		require.NoError(t, s.call(t, func() (err error) { item, err = s.cache.Get(key); return err }), "Get, of what was set")
		assert.Equal(t, "soup", string(item.Value), "Get, of what was set")
	})

	t.Run("returns_the_error_as_it_is", func(t *testing.T) {
		s := newScene(t)
		s.fail()
		assert.Equal(t, errDown, s.delete(t), "a call, while the cache does not answer, for the first time")
	})

	t.Run("makes_no_call_when_it_is_down", func(t *testing.T) {
		s := downed(t)
		before := s.made()
		err := s.delete(t)
		require.Equal(t, before, s.made(), "calls that reached the cache itself: Failures is 3, three in a row have failed, and there was one more. It must not be made: each one that is waits for the whole timeout, and so does each customer")
		assert.ErrorIs(t, err, kv.ErrDown, "the fourth call, after three in a row have failed")
	})

	t.Run("is_down_after_no_fewer_failures", func(t *testing.T) {
		s := newScene(t)
		s.fail()
		for i := range failures {
			require.Equal(t, errDown, s.delete(t), "call %d, while the cache does not answer: Failures is 3, so three are made", i+1)
		}
	})

	t.Run("is_not_down_for_misses", func(t *testing.T) {
		s := newScene(t)
		require.NoError(t, s.call(t, func() error { return s.memory.Set(soup) }))
		for i := range 5 * failures {
			require.ErrorIs(t, s.call(t, func() error { _, err := s.cache.Get("v1:none"); return err }), memcache.ErrCacheMiss, "Get %d, of what is not there: a miss is an answer, and no failure. Else an empty cache would be down for ever, as nobody may fill it", i+1)
		}
		for range 5 * failures {
			require.ErrorIs(t, s.call(t, func() error { return s.cache.Add(soup) }), memcache.ErrNotStored, "Add, of what is there: an answer, and no failure (see kv.Fault)")
		}
	})

	t.Run("starts_over_after_an_answer", func(t *testing.T) {
		s := newScene(t)
		for range 4 {
			s.fail()
			for range failures - 1 {
				require.Equal(t, errDown, s.delete(t), "Failures is 3, and never did three calls in a row fail: an answer clears what was counted, or the failures of a whole week would add up")
			}
			s.heal()
			require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "Failures is 3, and two in a row have failed: this call is made, and the cache answers that there is nothing to delete")
		}
	})

	t.Run("takes_a_slow_answer_for_a_failure", func(t *testing.T) {
		s := newScene(t)
		s.take(slow + 1)
		for range failures {
			require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "Slow is 80 ms, and a call took 1 ns longer: its answer is returned, whatever is counted")
		}
		assert.ErrorIs(t, s.delete(t), kv.ErrDown, "Slow is 80 ms, and three calls in a row took longer, by Config.Now: a cache that is slower than the database is of no use")
	})

	t.Run("returns_a_slow_answer_all_the_same", func(t *testing.T) {
		s := newScene(t)
		require.NoError(t, s.memory.Set(soup))
		s.take(slow + 1)
		item := (*memcache.Item)(nil)
		require.NoError(t, s.call(t, func() (err error) { item, err = s.cache.Get(key); return err }), "Get, of what is there, which took 1 ns longer than Slow. It is counted as a failure, and there is an answer nevertheless: do returns the error of the call as it is, and there was none")
		assert.Equal(t, "soup", string(item.Value), "Get, of what is there, which took 1 ns longer than Slow")
	})

	t.Run("takes_no_answer_in_time_for_slow", func(t *testing.T) {
		s := newScene(t)
		s.take(slow)
		for range 3 * failures {
			require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "Slow is 80 ms, and calls took just that: they are successes")
		}
	})

	t.Run("makes_calls_side_by_side", func(t *testing.T) {
		s := newScene(t)
		first, end := s.hang(t)
		s.heal()
		assert.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "a call, while another one is under way, and the cache is well")
		end()
		s.receive(t, first)
	})

	t.Run("stays_down_for_a_while", func(t *testing.T) {
		s := downed(t)
		s.heal()
		s.pass(retry - 1)
		assert.ErrorIs(t, s.delete(t), kv.ErrDown, "Retry is 30 s, and the last failure is 1 ns less ago: the cache may be back by now, and nobody asks yet")
	})

	t.Run("comes_back_by_itself", func(t *testing.T) {
		s := downed(t)
		s.heal()
		s.pass(retry)
		for i := range 2 * failures {
			require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "call %d, 30 s after the last failure. Retry is 30 s, so the first one is made, as the probe; the cache is well again, so it is not down any more, and all are made", i+1)
		}
		assert.False(t, s.down(t), "Down, after a probe that succeeded")
	})

	t.Run("counts_anew_when_it_is_back", func(t *testing.T) {
		s := downed(t)
		s.heal()
		s.pass(retry)
		require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "the probe, 30 s after the last failure")
		s.fail()
		for i := range failures {
			require.Equal(t, errDown, s.delete(t), "failure %d since the cache was back: Failures is 3, so three are made. The count must be cleared", i+1)
		}
	})

	t.Run("stays_down_when_the_probe_fails", func(t *testing.T) {
		s := downed(t)
		s.pass(retry)
		require.Equal(t, errDown, s.delete(t), "the probe, 30 s after the last failure: the cache does not answer yet")
		require.ErrorIs(t, s.delete(t), kv.ErrDown, "a call after a probe that failed: one is enough to know that it is still down, and not three")
		s.pass(retry - 1)
		require.ErrorIs(t, s.delete(t), kv.ErrDown, "a call, 1 ns less than 30 s after a probe that failed: Retry is 30 s")
		s.pass(1)
		assert.Equal(t, errDown, s.delete(t), "30 s after a probe that failed: the next one")
	})

	t.Run("waits_from_the_end_of_a_failure", func(t *testing.T) {
		s := downed(t)
		s.pass(retry)
		s.take(10 * time.Second)
		require.Equal(t, errDown, s.delete(t), "the probe, which takes 10 s to fail")
		s.pass(retry - 1)
		assert.ErrorIs(t, s.delete(t), kv.ErrDown, "a call, 1 ns less than 30 s after the end of a probe that failed: Retry is 30 s, counted from the end")
	})

	t.Run("sends_one_probe", func(t *testing.T) {
		s := downed(t)
		s.pass(retry)
		probe, end := s.hang(t)
		before := s.made()
		for i := range 10 {
			require.ErrorIs(t, s.delete(t), kv.ErrDown, "call %d while the probe is under way: if all who come then are let through, all of them wait until the timeout. Whoever becomes the probe moves c.retry on", i+1)
		}
		require.Equal(t, before, s.made(), "calls that reached the cache itself while the probe was under way")
		s.heal()
		end()
		require.ErrorIs(t, s.receive(t, probe), memcache.ErrCacheMiss, "the probe, which is answered in the end")
		assert.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "a call, after the probe has succeeded")
	})

	t.Run("sends_another_when_the_probe_does_not_return", func(t *testing.T) {
		s := downed(t)
		s.pass(retry)
		probe, end := s.hang(t)
		s.pass(retry - 1)
		require.ErrorIs(t, s.delete(t), kv.ErrDown, "a call, 1 ns less than 30 s after the probe began, which is still under way: Retry is 30 s, so there is no other probe yet")
		s.pass(1)
		s.heal()
		require.ErrorIs(t, s.delete(t), memcache.ErrCacheMiss, "a call, 30 s after the probe, which is still under way: Retry is 30 s, so this one is a probe, too. Else one that hangs would keep the cache down for ever")
		end()
		s.receive(t, probe)
	})
}

// The same, over a socket, of a server that hangs.
func TestServers(t *testing.T) {
	for name, config := range map[string]backing.MemcachedConfig{"embedded server": {Embedded: true}, "memcached": {NoEmbedded: true}} {
		t.Run(name, func(t *testing.T) {
			proxy := mctest.NewProxy(t, mctest.Open(t, config))
			client, err := kv.New(proxy.Addr, kv.Config{Timeout: 30 * time.Millisecond})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, client.Close()) })
			s := newSceneOf(t, client)
			set := func() error { return s.call(t, func() error { return s.cache.Set(soup) }) }

			proxy.Hang()
			for i := range failures {
				require.Error(t, set(), "Set %d, of a server that hangs", i+1)
			}
			require.Eventually(t, func() bool { return proxy.Dials() == failures }, time.Second, time.Millisecond, "connections to a server that hangs, for three calls: each fails, so none is used twice, and there are three")
			for range 50 {
				require.ErrorIs(t, set(), kv.ErrDown, "Set, after three in a row have failed")
			}
			require.Equal(t, failures, proxy.Dials(), "connections to a server that hangs, after 50 calls more: none is made while it is down")

			proxy.Pass()
			well := func(call func() error) (err error) {
				for range 20 { // on a busy machine, 30 ms may be over without anybody's fault
					s.pass(retry)
					if err = s.call(t, call); err == nil {
						return nil
					}
				}
				return err
			}
			require.NoError(t, well(func() error { return s.cache.Set(soup) }), "Set, after 30 s, and after 30 s more: the server is well again")
			var item *memcache.Item
			require.NoError(t, well(func() (err error) { item, err = s.cache.Get(key); return err }), "Get, after the server is well again")
			assert.Equal(t, "soup", string(item.Value), "Get, of what was set")
		})
	}
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := degrade.New(&kvtest.Memory{}, degrade.Config{Failures: -1, Slow: -2, Retry: -3})
		require.Error(t, err)
		for _, part := range []string{"Failures is -1", "Slow is -2ns", "Retry is -3ns"} {
			assert.Contains(t, err.Error(), part)
		}
	})
}

// What is given works with a right do.
func TestSuite(t *testing.T) {
	t.Run("is_a_cache", func(t *testing.T) {
		s := newScene(t)
		c, err := degrade.New(s.memory, degrade.Config{})
		require.NoError(t, err)
		var item *memcache.Item
		require.NoError(t, s.call(t, func() error { return c.Set(soup) }), "Set")
		require.ErrorIs(t, s.call(t, func() error { return c.Add(soup) }), memcache.ErrNotStored, "Add, of what is there")
		require.NoError(t, s.call(t, func() (err error) { item, err = c.Get(key); return err }), "Get, of what is there")
		require.NoError(t, s.call(t, func() error { return c.CompareAndSwap(item) }), "CompareAndSwap, of what Get returned")
		require.ErrorIs(t, s.call(t, func() error { return c.CompareAndSwap(item) }), memcache.ErrCASConflict, "CompareAndSwap, with a CAS ID that was used")
		require.NoError(t, s.call(t, func() error { return c.Delete(key) }), "Delete, of what is there")
	})
}

// scene is a Cache with a clock of its own.
type scene struct {
	cache  *degrade.Cache
	memory *kvtest.Memory

	mu    sync.Mutex // guards what follows
	now   time.Time
	err   error // of each call
	takes time.Duration
	gate  chan struct{} // where the next call waits, unless nil

	entered chan struct{} // closed when it does
}

func newScene(t *testing.T) *scene {
	t.Helper()
	m := &kvtest.Memory{}
	s := newSceneOf(t, m)
	s.memory = m
	m.Before(func(kvtest.Call) error {
		var gate chan struct{}
		s.set(func() {
			if gate, s.gate = s.gate, nil; gate != nil {
				close(s.entered)
			}
		})
		if gate != nil {
			<-gate
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now = s.now.Add(s.takes)
		return s.err
	})
	return s
}

func newSceneOf(t *testing.T, c kv.Cache) *scene {
	t.Helper()
	s := &scene{now: time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC)}
	var err error
	s.cache, err = degrade.New(c, degrade.Config{Failures: failures, Slow: slow, Retry: retry, Now: func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}})
	require.NoError(t, err)
	return s
}

// downed is a scene whose cache is down.
func downed(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.fail()
	for i := range failures {
		require.Equal(t, errDown, s.delete(t), "call %d, while the cache does not answer: Failures is 3, so three are made, and fail", i+1)
	}
	return s
}

func (s *scene) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *scene) pass(d time.Duration) { s.set(func() { s.now = s.now.Add(d) }) }
func (s *scene) fail()                { s.set(func() { s.err = errDown }) }
func (s *scene) heal()                { s.set(func() { s.err = nil }) }
func (s *scene) take(d time.Duration) { s.set(func() { s.takes = d }) }

// made is how many calls have reached the cache itself.
func (s *scene) made() int { return len(s.memory.Calls()) }

// delete calls Delete, of what is not there.
func (s *scene) delete(t *testing.T) error {
	t.Helper()
	return s.call(t, func() error { return s.cache.Delete("v1:none") })
}

// call makes a call, which must not be long in returning.
func (s *scene) call(t *testing.T, f func() error) error {
	t.Helper()
	return s.receive(t, start(f))
}

// down is what Down says.
func (s *scene) down(t *testing.T) (is bool) {
	t.Helper()
	require.NoError(t, s.call(t, func() error { is = s.cache.Down(); return nil }), "Down")
	return is
}

func start(f func() error) chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		if fault := panics.In(func() { err = f() }); fault != "" {
			err = errors.New("it panicked: " + fault)
		}
		done <- err
	}()
	return done
}

// hang begins a call that waits until end is called, and returns when it has reached
// the cache itself.
func (s *scene) hang(t *testing.T) (done chan error, end func()) {
	t.Helper()
	gate := make(chan struct{})
	end = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(end)
	s.set(func() { s.gate, s.entered = gate, make(chan struct{}) })
	done = start(func() error { return s.cache.Delete("v1:none") })
	select {
	case <-s.entered:
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no call", "a call, which may be made now, has not reached the cache itself")
	}
	return done, end
}

// patience is how long a call may take. Once one has not returned, the others are not
// waited for as long.
var patience = time.Second

func (s *scene) receive(t *testing.T, done chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no end", "a call has not returned. Is the lock held while a call runs, is there a way out of do that does not give it back, or a Lock where it is locked already?")
		return nil
	}
}
