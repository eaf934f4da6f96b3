package stampede_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
	"clicktocode.example/06-database-cache/solution/stampede"
)

const (
	key     = "v1:menu"
	timeout = 2 * time.Second       // of a reload
	poll    = 30 * time.Millisecond // by those who wait
	slow    = 300 * time.Millisecond
)

var lockKey = kv.Key("lock", key)

// One process.
func TestDo(t *testing.T) {
	t.Run("returns_what_the_cache_has", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.keep("soup")
			assert.Equal(t, outcome{value: "soup"}, s.ask(0).result(t), "Do, with soup in the cache")
			assert.Zero(t, s.count(), "calls of reload, with soup in the cache: peek finds it")
			assert.Nil(t, s.added(), "the lock that was asked for, with soup in the cache: none. Peek comes first, and what it finds nobody waits for")
		})
	})

	t.Run("reloads_what_the_cache_does_not_have", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			assert.Equal(t, outcome{value: "menu 1"}, s.ask(0).result(t), "Do, with nothing in the cache: reload says menu 1")
		})
	})

	t.Run("returns_the_error_of_reload", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.fail(errDatabase)
			assert.ErrorIs(t, s.ask(0).result(t).err, errDatabase, "Do, with nothing in the cache: reload returned this error")
		})
	})

	t.Run("makes_one_reload_for_a_thousand", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			callers := s.crowd(1000, 1)
			for i, c := range callers {
				require.Equal(t, outcome{value: "menu 1"}, c.result(t), "Do, caller %d of 1000 in one process who ask at the same time, with nothing in the cache: the first reload says menu 1, for all", i+1)
			}
			assert.Equal(t, 1, s.count(), "calls of reload, for a thousand callers in one process who ask at the same time")
		})
	})

	t.Run("gives_a_failure_to_all_who_wait", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.fail(errDatabase)
			for _, c := range s.crowd(10, 1) {
				require.ErrorIs(t, c.result(t).err, errDatabase, "Do, with nothing in the cache, and a reload that failed, for ten callers who ask at the same time")
			}
			assert.Equal(t, 1, s.count(), "calls of reload, for ten callers who ask at the same time: it failed, for all of them. If each tried again, a database that is down would get all of them, one after the other")
		})
	})

	t.Run("does_not_share_a_failure_for_ever", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.fail(errDatabase)
			require.ErrorIs(t, s.ask(0).result(t).err, errDatabase, "Do, with nothing in the cache: reload returned this error")
			s.fail(nil)
			assert.Equal(t, outcome{value: "menu 2"}, s.ask(0).result(t), "a reload failed. When that was over, the database was well again, and somebody asked: he begins again, and reload says menu 2. A flight that is over must not be joined")
		})
	})

	t.Run("remembers_no_value", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			require.Equal(t, outcome{value: "menu 1"}, s.ask(0).result(t), "Do, with nothing in the cache")
			s.memory.Forget()
			assert.Equal(t, outcome{value: "menu 2"}, s.ask(0).result(t), "somebody asked, and had menu 1. Then the cache lost it, and somebody asked again: what is remembered, and how long, is the cache's business, so reload says menu 2")
		})
	})

	t.Run("keeps_keys_apart", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			first := s.ask(0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begun := time.Now()
			got, err := s.groups[0].Do(ctx, "v1:order:7", func() (string, bool) { return "", false }, func(context.Context) (string, error) { return "order 7", nil })
			require.Equal(t, outcome{value: "order 7"}, outcome{got, err}, "Do, for another key than the one that is being reloaded")
			require.Less(t, time.Since(begun), slow, "how long Do took, for another key than the one that is being reloaded, which takes 300 ms")
			assert.Equal(t, outcome{value: "menu 1"}, first.result(t), "Do, for the menu")
		})
	})

	t.Run("lets_a_caller_leave_at_once", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			first, second := s.ask(0), s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for two callers who ask at the same time")
			for i, c := range []*caller{first, second} {
				c.leave()
				synctest.Wait()
				require.True(t, c.back(), "two callers ask at the same time, and a reload is under way; then the context of caller %d ended, and its Do still waits. Wait in a select, for DoChan's channel or for ctx", i+1)
				require.ErrorIs(t, c.result(t).err, errHungUp, "Do, of a caller who left: context.Cause(ctx)")
			}
		})
	})

	t.Run("goes_on_when_the_first_caller_leaves", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			first, second := s.ask(0), s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for two callers who ask at the same time")
			first.leave()
			assert.Equal(t, outcome{value: "menu 1"}, second.result(t), "two callers ask at the same time, and the first one, who began the reload, leaves. The second one's Do: the reload must not run in the first one's context. fly makes one of its own")
		})
	})

	t.Run("is_joined_although_the_first_caller_left", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.memory.Before(func(kvtest.Call) error { return errDown }) // so there is no lock that would hide a second flight
			first := s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for one caller, while the cache does not answer")
			first.leave()
			synctest.Wait()
			second := s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for a caller who left while it ran, and one who came then. The flight goes on, and whoever comes joins it: who leaves must not have it forgotten")
			assert.Equal(t, outcome{value: "menu 1"}, second.result(t), "Do, of the one who came then")
		})
	})

	t.Run("gives_a_reload_the_values_and_the_time", func(t *testing.T) {
		for name, hook := range map[string]func(kvtest.Call) error{"the cache is well": nil, "the cache does not answer": func(kvtest.Call) error { return errDown }} {
			bubble(t, 1, func(t *testing.T, s *scene) {
				s.memory.Before(hook)
				ctx, leave := context.WithTimeout(context.WithValue(s.ctx, valueKey{}, "ada"), time.Hour)
				defer leave()
				var value any
				left := time.Duration(-1)
				got, err := s.groups[0].Do(ctx, key, s.peek, func(ctx context.Context) (string, error) {
					value = ctx.Value(valueKey{})
					if deadline, ok := ctx.Deadline(); ok {
						left = time.Until(deadline)
					}
					return "menu", nil
				})
				require.Equal(t, outcome{value: "menu"}, outcome{got, err}, "Do, with nothing in the cache, when %s: reload says menu", name)
				require.Equal(t, "ada", value, "a value of the context that Do was called with, in the one of reload, when %s: it is what the log names the request by", name)
				require.Equal(t, timeout, left, "how long reload's context lasts, when %s: Timeout is 2 s, and g.call sees to it. With more, the lock expires while it runs, and somebody else begins", name)
			})
		}
	})

	t.Run("survives_a_reload_that_panics", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.mu.Lock()
			s.panics = true
			s.mu.Unlock()
			got := s.ask(0).result(t)
			require.Error(t, got.err, "Do, with a reload that panics: fly makes an error of it")
			assert.Contains(t, got.err.Error(), "the soup boils over", "Do, with a reload that panics with this text")
		})
	})

	t.Run("ends_with_Close", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			c := s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for one caller, with nothing in the cache")
			s.groups[0].Close()
			synctest.Wait()
			require.True(t, c.back(), "Close was called while a reload was under way, and Do still waits")
			assert.ErrorIs(t, c.result(t).err, context.Canceled, "Do, while Close was called: the reload's context has ended")
			assert.ErrorIs(t, s.ask(0).result(t).err, stampede.ErrClosed, "Do, after Close, with nothing in the cache")
		})
	})
}

// Several processes.
func TestLock(t *testing.T) {
	t.Run("is_taken_for_a_reload", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			c := s.ask(0)
			require.NotNil(t, s.memory.Peek(lockKey), "what is under %s (kv.Key(\"lock\", key)), while a reload is under way: nothing. Without the lock, each replica makes a reload of its own", lockKey)
			c.result(t)
		})
	})

	t.Run("has_an_end", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.ask(0).result(t)
			lock := s.added()
			require.NotNil(t, lock, "no item was added under %s: a reload needs the lock", lockKey)
			require.NotZero(t, lock.Expiration, "the Expiration of the lock: 0 means for ever. If its holder dies, nobody ever reloads again. g.lock is what it should be")
			assert.EqualValues(t, 3, lock.Expiration, "the Expiration of the lock: g.lock, which is longer than the Timeout of 2 s, so that nobody reloads beside its holder")
		})
	})

	t.Run("is_each_ones_own", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.ask(0).result(t)
			first := s.added()
			require.NotNil(t, first, "no item was added under %s: a reload needs the lock", lockKey)
			s.memory.Forget()
			s.ask(0).result(t)
			assert.NotEqual(t, string(first.Value), string(s.added().Value), "the values of two locks, taken one after the other: release knows its own by them, so no two are the same (rand.Text)")
		})
	})

	t.Run("is_given_back", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			require.Equal(t, outcome{value: "menu 1"}, s.ask(0).result(t), "Do, with nothing in the cache")
			require.NotNil(t, s.added(), "no item was added under %s: a reload needs the lock", lockKey)
			assert.Nil(t, s.memory.Peek(lockKey), "what is under %s, after the reload", lockKey)
		})
	})

	t.Run("is_given_back_after_a_failure", func(t *testing.T) {
		bubble(t, 2, func(t *testing.T, s *scene) {
			s.fail(errDatabase)
			require.ErrorIs(t, s.ask(0).result(t).err, errDatabase, "Do, in replica 1: reload returned this error")
			s.fail(nil)
			begun := time.Now()
			require.Equal(t, outcome{value: "menu 2"}, s.ask(1).result(t), "Do, in replica 2, after the reload of replica 1 failed")
			assert.Less(t, time.Since(begun), slow+poll, "how long replica 2 took for a reload that takes 300 ms, after that of replica 1 failed: nobody has the lock, so it does not wait until one ends")
		})
	})

	t.Run("is_no_reason_to_reload_what_is_there_by_now", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.memory.Before(func(c kvtest.Call) error {
				if c.Op == "add" {
					s.keep("soup") // by another replica, which has just given the lock back
				}
				return nil
			})
			require.Equal(t, outcome{value: "soup"}, s.ask(0).result(t), "Do: peek found nothing, and before this replica could take the lock, another one had kept soup and given the lock back. Who has the lock peeks once more, or the replicas reload one after the other")
			require.NotNil(t, s.added(), "no item was added under %s: a reload needs the lock", lockKey)
			assert.Nil(t, s.memory.Peek(lockKey), "what is under %s, when the lock was taken, and soup was there by then: whoever has the lock gives it back in any case, also if nothing was to be done", lockKey)
		})
	})

	t.Run("is_given_back_after_a_panic", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.mu.Lock()
			s.panics = true
			s.mu.Unlock()
			require.Error(t, s.ask(0).result(t).err, "Do, with a reload that panics: fly makes an error of it")
			require.NotNil(t, s.added(), "no item was added under %s: a reload needs the lock", lockKey)
			assert.Nil(t, s.memory.Peek(lockKey), "what is under %s, after a reload that panicked: give the lock back in a deferred function, which runs in a panic, too", lockKey)
		})
	})

	t.Run("makes_one_reload_for_a_thousand_on_three_replicas", func(t *testing.T) {
		bubble(t, 3, func(t *testing.T, s *scene) {
			for i, c := range s.crowd(1000, 3) {
				require.Equal(t, outcome{value: "menu 1"}, c.result(t), "Do, caller %d of 1000 on three replicas who ask at the same time, with nothing in the cache: the first reload says menu 1, for all", i+1)
			}
			assert.Equal(t, 1, s.count(), "calls of reload, for a thousand callers on three replicas who ask at the same time")
		})
	})

	t.Run("is_waited_for_no_longer_than_needed", func(t *testing.T) {
		bubble(t, 2, func(t *testing.T, s *scene) {
			first := s.ask(0)
			begun := time.Now()
			require.Equal(t, outcome{value: "menu 1"}, s.ask(1).result(t), "Do, in replica 2, while replica 1 reloads")
			require.Less(t, time.Since(begun), slow+2*poll, "how long replica 2 waited for a reload of replica 1 that takes 300 ms: it looks every 30 ms (Config.Poll)")
			assert.Equal(t, outcome{value: "menu 1"}, first.result(t), "Do, in replica 1")
		})
	})

	t.Run("is_no_reason_to_wait_for_what_is_there", func(t *testing.T) {
		bubble(t, 2, func(t *testing.T, s *scene) {
			first := s.ask(0)
			second := s.ask(1)
			require.Equal(t, 1, s.count(), "calls of reload, for a caller in each of two replicas")
			s.keep("soup")
			begun := time.Now()
			require.Equal(t, outcome{value: "soup"}, second.result(t), "Do, in replica 2, which waits for the lock of replica 1. Then soup is in the cache, and replica 1 has the lock still: who waits peeks each time, too")
			require.LessOrEqual(t, time.Since(begun), poll, "how long replica 2 waited after soup was in the cache: it looks every 30 ms (Config.Poll), whoever has the lock")
			first.result(t)
		})
	})

	t.Run("is_waited_for_until_Close", func(t *testing.T) {
		bubble(t, 2, func(t *testing.T, s *scene) {
			first := s.ask(0)
			second := s.ask(1)
			require.Equal(t, 1, s.count(), "calls of reload, for a caller in each of two replicas")
			begun := time.Now()
			s.groups[1].Close()
			require.Less(t, time.Since(begun), poll, "how long Close of replica 2 took, while that waited for the lock of replica 1, which reloads for 300 ms. Close ends the context of the flight: wait in a select, for time.After or for ctx, where time.Sleep sleeps on")
			assert.ErrorIs(t, second.result(t).err, context.Canceled, "Do, in replica 2, which was closed: lead returns the error of its ctx")
			assert.Equal(t, outcome{value: "menu 1"}, first.result(t), "Do, in replica 1")
		})
	})

	t.Run("is_not_asked_for_all_the_time", func(t *testing.T) {
		bubble(t, 2, func(t *testing.T, s *scene) {
			first := s.ask(0)
			before := len(s.memory.Calls())
			require.Equal(t, outcome{value: "menu 1"}, s.ask(1).result(t), "Do, in replica 2, while replica 1 reloads")
			first.result(t)
			assert.Less(t, len(s.memory.Calls())-before, 3*int(slow/poll)+20, "calls of the cache, while replica 2 waits 300 ms for replica 1, and looks every 30 ms (Config.Poll)")
		})
	})

	t.Run("ends_when_its_holder_died", func(t *testing.T) {
		bubble(t, 3, func(t *testing.T, s *scene) {
			s.die()
			s.ask(0)
			require.Equal(t, 1, s.count(), "calls of reload, for one caller, with nothing in the cache")
			s.live()
			begun := time.Now()
			second, third := s.ask(1), s.ask(2)
			require.Equal(t, outcome{value: "menu 2"}, second.result(t), "Do, in replica 2. Replica 1 took the lock, and died: its reload does not return, and it gives nothing back. The lock expires, and somebody else reloads")
			require.Equal(t, outcome{value: "menu 2"}, third.result(t), "Do, in replica 3, as in replica 2")
			assert.Less(t, time.Since(begun), timeout+2*time.Second+slow, "how long the replicas waited for one that died: its lock's 3 s, and a reload")
		})
	})

	t.Run("of_another_is_left_alone", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			c := s.ask(0)
			require.NotNil(t, s.memory.Peek(lockKey), "what is under %s, while a reload is under way", lockKey)
			_ = s.memory.Set(&memcache.Item{Key: lockKey, Value: []byte("another's"), Expiration: 60})
			c.result(t)
			there := s.memory.Peek(lockKey)
			require.NotNil(t, there, "what is under %s, after a reload that took so long that its lock had expired, and another replica had taken it: that one's lock must stay (g.release sees to it)", lockKey)
			assert.Equal(t, "another's", string(there.Value), "the value of the lock")
		})
	})

	t.Run("is_not_needed_when_the_cache_is_down", func(t *testing.T) {
		bubble(t, 1, func(t *testing.T, s *scene) {
			s.memory.Before(func(kvtest.Call) error { return errDown })
			begun := time.Now()
			for _, c := range s.crowd(10, 1) {
				require.Equal(t, outcome{value: "menu 1"}, c.result(t), "Do, of one of ten callers, while the cache does not answer: there is no lock to be had, so reload is called without one. A cache makes things quick; without it they are slow, not broken")
			}
			assert.Less(t, time.Since(begun), slow+poll, "how long they took, for a reload that takes 300 ms: nobody waits for a lock that nobody can have")
		})
	})

	t.Run("leaves_no_goroutine", func(t *testing.T) {
		leaked := bubble(t, 2, func(t *testing.T, s *scene) {
			first, second := s.ask(0), s.ask(1)
			third := s.ask(1)
			second.leave()
			require.Equal(t, outcome{value: "menu 1"}, first.result(t), "Do, in replica 1")
			require.Equal(t, outcome{value: "menu 1"}, third.result(t), "Do, in replica 2, while replica 1 reloads")
		})
		assert.Empty(t, leaked, "two replicas have answered, and a caller has left: a goroutine that Do has started still waits. For whom?")
	})
}

// The same, over a socket.
func TestServers(t *testing.T) {
	mctest.Each(t, func(t *testing.T, client *memcache.Client) {
		client.Timeout = 2 * time.Second // on a busy machine, a fault of the cache would make another reload
		var mu sync.Mutex
		count := 0
		peek := func() (string, bool) {
			item, err := client.Get(key)
			if err != nil {
				return "", false
			}
			return string(item.Value), true
		}
		reload := func(ctx context.Context) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			count++
			return "menu", client.Set(&memcache.Item{Key: key, Value: []byte("menu"), Expiration: 60})
		}
		var groups []*stampede.Group[string]
		for range 3 {
			g, err := stampede.New[string](client, stampede.Config{Poll: time.Millisecond})
			require.NoError(t, err)
			groups = append(groups, g)
		}
		defer func() {
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				for _, g := range groups {
					g.Close()
				}
			}()
			select {
			case <-closed:
			case <-time.After(2 * time.Second):
				assert.Fail(t, "Close does not return", "three replicas were closed 2 s ago, and Close waits for what fly calls: is there a way out that does not unlock, a Lock where it is locked already, or a loop in lead that does not end with ctx?")
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		const callers = 60
		got := make(chan string, callers)
		for i := range callers {
			go func() {
				fault := panics.In(func() {
					v, err := groups[i%3].Do(ctx, key, peek, reload)
					if err != nil {
						v = err.Error()
					}
					got <- v
				})
				if fault != "" {
					got <- fault
				}
			}()
		}
		for i := range callers {
			select {
			case v := <-got:
				require.Equal(t, "menu", v, "Do, caller %d of 60 on three replicas who ask at the same time, with nothing in the cache", i+1)
			case <-time.After(3 * time.Second):
				require.FailNow(t, "no end", "a caller still waits, whose context ended a second ago")
			}
		}
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, 1, count, "calls of reload, for 60 callers on three replicas")
	})
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := stampede.New[string](&kvtest.Memory{}, stampede.Config{Timeout: -1, Poll: -2})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "Timeout is -1ns")
		assert.Contains(t, err.Error(), "Poll is -2ns")
	})
}

type valueKey struct{}

var (
	errDatabase = errors.New("database: connection refused")
	errDown     = errors.New("cache: i/o timeout")
	errHungUp   = errors.New("the client hung up")
)

// scene is some replicas, each a Group, over one cache and one database, in a
// bubble. A reload takes 300 ms, and its n-th call says "menu n".
type scene struct {
	memory *kvtest.Memory
	groups []*stampede.Group[string]
	ctx    context.Context // of the callers; ends with the leaf
	end    chan struct{}   // closed with the leaf

	mu      sync.Mutex // guards what follows
	reloads int
	err     error // of reload
	dead    bool  // reload does not return
	panics  bool
	fault   string // how a Do has panicked
}

// bubble runs f in a bubble, with a scene of n replicas.
func bubble(t *testing.T, n int, f func(t *testing.T, s *scene)) (leaked string) {
	t.Helper()
	const hint = "a second has passed, and nothing here takes time: a loop asks the cache all the time, without the wait of Config.Poll, or does not end with ctx, or a lock is not given back, or is asked for where it is held already"
	return kvtest.Bubble(t, hint, func(t *testing.T, m *kvtest.Memory) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &scene{memory: m, ctx: ctx, end: make(chan struct{})}
		for range n {
			g, err := stampede.New[string](limited{m, new(int), new(sync.Mutex)}, stampede.Config{Timeout: timeout, Poll: poll})
			require.NoError(t, err)
			s.groups = append(s.groups, g)
		}
		defer func() {
			cancel()
			close(s.end)
			for _, g := range s.groups {
				g.Close()
			}
		}()
		f(t, s)
	})
}

// limited is a cache that ends who asks it without end.
type limited struct {
	kv.Cache
	adds *int
	mu   *sync.Mutex // guards adds
}

func (l limited) Add(item *memcache.Item) error {
	l.mu.Lock()
	*l.adds++
	n := *l.adds
	l.mu.Unlock()
	if n > 5000 {
		runtime.Goexit()
	}
	return l.Cache.Add(item)
}

// keep puts value into the cache.
func (s *scene) keep(value string) {
	_ = s.memory.Set(&memcache.Item{Key: key, Value: []byte(value), Expiration: 60})
}

// fail has reloads return err from now on.
func (s *scene) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// die has the reloads that begin from now on never return.
func (s *scene) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

// live ends that, for those that begin from now on.
func (s *scene) live() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = false
}

// count is how many reloads have begun.
func (s *scene) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloads
}

// added is the lock that was asked for last.
func (s *scene) added() (lock *memcache.Item) {
	for _, c := range s.memory.Calls() {
		if c.Op == "add" && c.Key == lockKey {
			lock = c.Item
		}
	}
	return lock
}

func (s *scene) peek() (string, bool) {
	item := s.memory.Peek(key)
	if item == nil {
		return "", false
	}
	return string(item.Value), true
}

func (s *scene) reload(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.reloads++
	value, err, dead, boom := fmt.Sprint("menu ", s.reloads), s.err, s.dead, s.panics
	s.mu.Unlock()
	if dead {
		<-s.end
		return "", errors.New("the test is over")
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if boom {
		if !strings.Contains(string(debug.Stack()), ").fly(") {
			return "", errors.New("reload was not called through fly, so it does not panic here, or it would end all tests")
		}
		panic("the soup boils over")
	}
	if err != nil {
		return "", err
	}
	s.keep(value)
	return value, nil
}

// outcome is what a call of Do came to.
type outcome struct {
	value string
	err   error
}

// caller calls Do.
type caller struct {
	s      *scene
	hangUp context.CancelCauseFunc
	done   chan outcome
}

// ask is a caller in this replica, who waits by now, or has its answer.
func (s *scene) ask(replica int) *caller {
	ctx, hangUp := context.WithCancelCause(s.ctx)
	c := &caller{s, hangUp, make(chan outcome, 1)}
	go func() {
		var got outcome
		fault := panics.In(func() { got.value, got.err = s.groups[replica].Do(ctx, key, s.peek, s.reload) })
		if fault != "" {
			got.err = errors.New("Do panicked: " + strings.TrimSpace(fault))
		}
		c.done <- got
	}()
	synctest.Wait()
	return c
}

// crowd is n callers at the same time, in these replicas.
func (s *scene) crowd(n, replicas int) (all []*caller) {
	for i := range n {
		all = append(all, s.ask(i%replicas))
	}
	return all
}

func (c *caller) leave() { c.hangUp(errHungUp) }

// back reports whether Do has returned.
func (c *caller) back() bool { return len(c.done) > 0 }

// result is what Do came to. It gives up after a minute, of the bubble's time.
func (c *caller) result(t *testing.T) outcome {
	t.Helper()
	select {
	case got := <-c.done:
		return got
	case <-time.After(time.Minute):
		require.FailNow(t, "no end", "a caller still waits after a minute. A reload takes 300 ms, and a lock lasts 3 s")
		return outcome{}
	}
}
