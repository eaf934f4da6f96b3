package invalidate_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/06-database-cache/exercise/invalidate"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
)

const key = "v1:order:7"

func TestWrite(t *testing.T) {
	t.Run("commits", func(t *testing.T) {
		s := newScene(t)
		s.write(t, nil)
		assert.Equal(t, 1, strings.Count(strings.Join(s.log, " "), "commit"), "calls of commit, in one Write")
	})

	t.Run("returns_the_error_of_commit", func(t *testing.T) {
		s := newScene(t)
		assert.Equal(t, errConflict, s.write(t, errConflict), "commit returned this error: Write returns it as it is")
	})

	t.Run("takes_out_what_the_cache_has", func(t *testing.T) {
		s := newScene(t)
		s.put(t, "paid", 1)
		assert.NoError(t, s.write(t, nil), "commit returned no error")
		assert.Equal(t, "nothing", s.there(), "what the cache has under the key: it had paid, then commit changed the order")
	})

	t.Run("deletes_after_the_commit", func(t *testing.T) {
		s := newScene(t)
		s.write(t, nil)
		assert.Equal(t, []string{"commit", "delete"}, s.log, "what Write did, and in which order. Between a delete and a commit that comes after it, any reader finds nothing in the cache, and the old value in the database, and brings it back: nobody deletes it any more")
	})

	t.Run("deletes_also_when_the_outcome_is_unknown", func(t *testing.T) {
		s := newScene(t)
		s.put(t, "paid", 1)
		assert.ErrorIs(t, s.write(t, errUnknown), errUnknown, "commit returned this error")
		assert.Equal(t, "nothing", s.there(), "what the cache has under the key: it had paid, then commit said %q. The change may be in the database: an error does not say that nothing was changed", errUnknown)
	})

	t.Run("does_not_fail_for_a_cache_that_is_down", func(t *testing.T) {
		s := newScene(t)
		s.memory.Before(func(kvtest.Call) error { return errDown })
		assert.NoError(t, s.write(t, nil), "commit returned no error, and then the cache did not answer: the change is made, and a customer who is told that it failed makes it twice")
		assert.Equal(t, []string{key}, s.lost, "keys that Config.Lost was told of: the delete has failed (Forget tells it)")
	})
}

func TestReader(t *testing.T) {
	t.Run("returns_a_value", func(t *testing.T) {
		s := newScene(t)
		s.put(t, "paid", 1)
		r := s.reader()
		assert.Equal(t, "paid", r.get(t), "Get, with paid under the key")
		assert.Equal(t, []string{"get"}, s.log, "what the cache was asked, for a hit")
	})

	t.Run("misses_where_there_is_nothing", func(t *testing.T) {
		s := newScene(t)
		r := s.reader()
		assert.Equal(t, "miss", r.get(t), "Get, with nothing under the key")
	})

	t.Run("puts_a_placeholder", func(t *testing.T) {
		s := newScene(t)
		s.reader().get(t)
		assert.Equal(t, "placeholder", s.there(), "what the cache has under the key, after a Get that found nothing: an item with the flags Placeholder, for a writer to take out")
	})

	t.Run("puts_a_placeholder_that_ends", func(t *testing.T) {
		s := newScene(t)
		s.reader().get(t)
		var item *memcache.Item
		for _, c := range s.memory.Calls() {
			if c.Item != nil {
				item = c.Item
			}
		}
		require.NotNil(t, item, "Get found nothing: it adds a placeholder")
		assert.EqualValues(t, 10, item.Expiration, "the Expiration of the placeholder: Loading is 10 s, and so r.loading is 10. With 0, it would stand for ever")
	})

	t.Run("takes_a_placeholder_for_a_miss", func(t *testing.T) {
		s := newScene(t)
		s.put(t, "", invalidate.Placeholder)
		assert.Equal(t, "miss", s.reader().get(t), "Get, with a placeholder under the key, of another reader who is loading: it is no value")
	})

	t.Run("keeps_what_was_loaded", func(t *testing.T) {
		s := newScene(t)
		r := s.reader()
		r.get(t)
		assert.Equal(t, "kept", r.set(t, "paid"), "Get (a miss), and Set, and nobody came between")
		assert.Equal(t, "paid", s.there(), "what the cache has under the key, after Get (a miss) and Set")
	})

	t.Run("keeps_flags_and_expiration", func(t *testing.T) {
		s := newScene(t)
		r := s.reader()
		r.get(t)
		r.set(t, "paid")
		var last *memcache.Item
		for _, c := range s.memory.Calls() {
			last = c.Item
		}
		require.NotNil(t, last, "the last call of the cache, after Get (a miss) and Set: it keeps an item")
		assert.Equal(t, "1, 60", fmt.Sprintf("%d, %d", last.Flags, last.Expiration), "Flags and Expiration of what was kept: Set was called with 1 and 60")
	})

	t.Run("does_not_change_the_item_that_it_is_given", func(t *testing.T) {
		s := newScene(t)
		r := s.reader()
		r.get(t)
		item := &memcache.Item{Key: key, Value: []byte("paid"), Flags: 1, Expiration: 60}
		soon(t, func() { _ = r.Set(item) })
		assert.Equal(t, &memcache.Item{Key: key, Value: []byte("paid"), Flags: 1, Expiration: 60}, item, "the item that Set was given: it is the caller's, so make a copy for the CAS ID")
		assert.Equal(t, "paid", s.there(), "what the cache has under the key, after Get (a miss) and Set")
	})

	t.Run("keeps_nothing_that_was_deleted_meanwhile", func(t *testing.T) {
		s := newScene(t)
		r := s.reader()
		r.get(t)
		_ = s.memory.Delete(key)
		got := r.set(t, "paid")
		assert.Equal(t, "nothing", s.there(), "what the cache has under the key. A reader found nothing, and read paid in the database; a writer changed that, and deleted the key; then the reader called Set, with the old paid. Nobody will delete that: it must not be kept. A plain set does; CompareAndSwap, with the CAS ID of the placeholder, does not")
		assert.NotEqual(t, "kept", got, "Set, after the key was deleted meanwhile: it has kept nothing, and says so by an error")
	})

	t.Run("keeps_nothing_by_the_ticket_of_another", func(t *testing.T) {
		s := newScene(t)
		slow := s.reader()
		slow.get(t)
		_ = s.memory.Delete(key)
		s.reader().get(t)
		got := slow.set(t, "old")
		assert.Equal(t, "placeholder", s.there(), "what the cache has under the key. A reader got its ticket, and loaded; a writer deleted; a second reader put its placeholder there; then the first one called Set. That placeholder is not what the first one's Get has seen. Take the CAS ID in Get: one that is fetched in Set is too young, and is good for what is old")
		assert.NotEqual(t, "kept", got, "Set, with a ticket that was taken out: it has kept nothing, and says so by an error")
	})

	t.Run("uses_the_placeholder_of_another", func(t *testing.T) {
		s := newScene(t)
		first, second := s.reader(), s.reader()
		first.get(t)
		second.get(t)
		assert.Equal(t, "kept", second.set(t, "paid"), "two readers found nothing, and one put a placeholder there. The other one, who found that, is the first to have loaded: the placeholder is as good as its own")
		assert.Equal(t, "paid", s.there(), "what the cache has under the key, after the second of two readers called Set")
	})

	t.Run("leaves_what_another_has_kept", func(t *testing.T) {
		s := newScene(t)
		first, second := s.reader(), s.reader()
		first.get(t)
		second.get(t)
		require.Equal(t, "kept", first.set(t, "paid"), "two readers found nothing, and the first one has loaded")
		second.set(t, "also paid")
		assert.Equal(t, "paid", s.there(), "what the cache has under the key: two readers loaded, and both called Set. The first one's stays")
	})

	t.Run("replaces_what_could_not_be_used", func(t *testing.T) {
		s := newScene(t)
		s.put(t, "{broken", 1)
		r := s.reader()
		require.Equal(t, "{broken", r.get(t), "Get, with this under the key")
		assert.Equal(t, "kept", r.set(t, "paid"), "Get found a value that its caller could not use, and nobody came between: Set replaces it. If only placeholders can be replaced, it stands there until its TTL is over, and each read loads")
	})

	t.Run("knows_a_placeholder_by_its_flags", func(t *testing.T) {
		for _, row := range []struct {
			value string
			flags uint32
			want  string
		}{
			{"", invalidate.Placeholder, "miss"},
			{"on the stairs", invalidate.Placeholder, "miss"},
			{"", 1, ""},
			{"paid", 0, "paid"},
			{"paid", invalidate.Placeholder + 1, "paid"},
		} {
			s := newScene(t)
			s.put(t, row.value, row.flags)
			require.Equal(t, row.want, s.reader().get(t), "Get, with an item of the flags %d and the value %q under the key: what has the flags %d is a placeholder, and its value says nothing; whatever has others is a value, an empty one, too", row.flags, row.value, invalidate.Placeholder)
		}
	})

	t.Run("returns_what_came_meanwhile", func(t *testing.T) {
		s := newScene(t)
		s.between("add", func() { s.put(t, "paid", 1) })
		assert.Equal(t, "paid", s.reader().get(t), "Get found nothing, and before it could add a placeholder, somebody else had kept paid: add returned memcache.ErrNotStored, so there is something to get")
	})

	t.Run("misses_what_is_gone_again", func(t *testing.T) {
		s := newScene(t)
		adds := 0
		s.memory.Before(func(c kvtest.Call) error {
			if c.Op == "add" {
				adds++
			}
			if c.Op == "get" && adds == 1 {
				adds++
				_ = s.memory.Delete(key)
			}
			return nil
		})
		r := s.reader()
		require.Equal(t, "miss", r.get(t), "Get found nothing, added a placeholder, and before it could get that, a writer deleted it")
	})

	t.Run("keeps_nothing_without_a_ticket", func(t *testing.T) {
		s := newScene(t)
		s.memory.Before(func(c kvtest.Call) error {
			if c.Op == "get" {
				return memcache.ErrCacheMiss // as if it were always gone again
			}
			return nil
		})
		r := s.reader()
		require.Equal(t, "miss", r.get(t), "Get found nothing, also after it had added a placeholder")
		before := len(s.memory.Calls())
		assert.NotEqual(t, "kept", r.set(t, "paid"), "Set, after a Get that found nothing at all, and so has no CAS ID: it keeps nothing, and says so by an error")
		assert.Len(t, s.memory.Calls(), before, "calls of the cache, with those of a Set that has no ticket: it does not ask")
	})

	for _, op := range []string{"get", "add"} {
		t.Run("tells_a_fault_of_"+op, func(t *testing.T) {
			s := newScene(t)
			s.memory.Before(func(c kvtest.Call) error {
				if c.Op == op {
					return errDown
				}
				return nil
			})
			assert.Equal(t, errDown.Error(), s.reader().get(t), "Get, with nothing under the key, while the cache does not answer to %s: its error is returned, and no miss", op)
		})
	}
}

// In these, each call of the cache and of the database is one step, and each order
// in which the steps can be made is made.
func TestInterleavings(t *testing.T) {
	t.Run("one_reader_and_one_writer", func(t *testing.T) {
		explore(t, "", 99, "reader", "writer")
	})
	t.Run("one_reader_and_one_writer_of_what_is_kept", func(t *testing.T) {
		explore(t, "v0", 99, "reader", "writer")
	})
	t.Run("one_reader_and_two_writers", func(t *testing.T) {
		explore(t, "", 99, "reader", "writer", "second writer")
	})
	t.Run("two_readers_and_one_writer", func(t *testing.T) {
		explore(t, "", 3, "reader", "second reader", "writer")
	})
}

// The same, over a socket.
func TestServers(t *testing.T) {
	mctest.Each(t, func(t *testing.T, client *memcache.Client) {
		c, err := invalidate.New(client, invalidate.Config{})
		require.NoError(t, err)
		s := &scene{cache: c}
		kept := func(t *testing.T) string {
			t.Helper()
			item, err := client.Get(key)
			if err != nil {
				return err.Error()
			}
			return string(item.Value)
		}
		t.Run("keeps_what_was_loaded", func(t *testing.T) {
			_ = client.Delete(key)
			r := s.reader()
			require.Equal(t, "miss", r.get(t), "Get, with nothing under the key")
			require.Equal(t, "kept", r.set(t, "paid"), "Get (a miss), and Set")
			assert.Equal(t, "paid", kept(t), "what the cache has under the key")
		})
		t.Run("keeps_nothing_old", func(t *testing.T) {
			_ = client.Delete(key)
			r := s.reader()
			require.Equal(t, "miss", r.get(t), "Get, with nothing under the key")
			s.write(t, nil)
			r.set(t, "old")
			assert.Equal(t, memcache.ErrCacheMiss.Error(), kept(t), "what the cache has under the key: a reader loaded, a writer wrote, and the reader called Set")
		})
	})
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("tells_a_fault_of_the_config", func(t *testing.T) {
		_, err := invalidate.New(&kvtest.Memory{}, invalidate.Config{Loading: -1})
		require.ErrorContains(t, err, "Loading is -1ns")
	})

	t.Run("tries_a_delete_twice", func(t *testing.T) {
		s := newScene(t)
		failed := false
		s.memory.Before(func(kvtest.Call) error {
			if !failed {
				failed = true
				return errDown
			}
			return nil
		})
		s.cache.Forget(key)
		assert.Equal(t, []string{"delete", "delete"}, s.log)
		assert.Empty(t, s.lost)
	})

	t.Run("waits_for_no_cache_that_is_known_to_be_down", func(t *testing.T) {
		s := newScene(t)
		s.memory.Before(func(kvtest.Call) error { return kv.ErrDown })
		s.cache.Forget(key)
		assert.Equal(t, []string{key}, s.lost)
		assert.Len(t, s.memory.Calls(), 1)
	})
}

var (
	errConflict = errors.New("orders: changed meanwhile")
	errUnknown  = errors.New("orders: the connection broke during COMMIT: outcome unknown")
	errDown     = errors.New("cache: i/o timeout")
)

// scene is a Cache over a memory, with a log of what was done.
type scene struct {
	cache  *invalidate.Cache
	memory *kvtest.Memory
	log    []string
	lost   []string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{memory: &kvtest.Memory{}}
	var err error
	s.cache, err = invalidate.New(logged{s.memory, s}, invalidate.Config{Lost: func(key string, err error) { s.lost = append(s.lost, key) }})
	require.NoError(t, err)
	return s
}

// logged is a cache whose calls are in the scene's log.
type logged struct {
	kv.Cache
	s *scene
}

func (l logged) Get(key string) (*memcache.Item, error) {
	l.s.log = append(l.s.log, "get")
	return l.Cache.Get(key)
}

func (l logged) Delete(key string) error {
	l.s.log = append(l.s.log, "delete")
	return l.Cache.Delete(key)
}

// put keeps an item, as somebody else does.
func (s *scene) put(t *testing.T, value string, flags uint32) {
	t.Helper()
	require.NoError(t, s.memory.Set(&memcache.Item{Key: key, Value: []byte(value), Flags: flags}))
}

// there is what the cache has.
func (s *scene) there() string { return what(s.memory.Peek(key)) }

func what(item *memcache.Item) string {
	switch {
	case item == nil:
		return "nothing"
	case item.Flags == invalidate.Placeholder:
		return "placeholder"
	}
	return string(item.Value)
}

// between has f called once, before the first call of this kind is done.
func (s *scene) between(op string, f func()) {
	done := false
	s.memory.Before(func(c kvtest.Call) error {
		if c.Op == op && !done {
			done = true
			f()
		}
		return nil
	})
}

// write calls Write, with a commit that returns err.
func (s *scene) write(t *testing.T, err error) (got error) {
	t.Helper()
	soon(t, func() {
		got = s.cache.Write(key, func() error {
			s.log = append(s.log, "commit")
			return err
		})
	})
	return got
}

type reader struct{ *invalidate.Reader }

func (s *scene) reader() reader { return reader{s.cache.Reader()} }

// get is what Get returns: a value, "miss", or the error's text.
func (r reader) get(t *testing.T) (got string) {
	t.Helper()
	soon(t, func() {
		item, err := r.Get(key)
		switch {
		case errors.Is(err, memcache.ErrCacheMiss):
			got = "miss"
		case err != nil:
			got = err.Error()
		case item == nil:
			got = "neither an item nor an error"
		default:
			got = what(item)
		}
	})
	return got
}

// set is what Set returns: "kept", or the error's text.
func (r reader) set(t *testing.T, value string) (got string) {
	t.Helper()
	soon(t, func() {
		got = "kept"
		if err := r.Set(&memcache.Item{Key: key, Value: []byte(value), Flags: 1, Expiration: 60}); err != nil {
			got = err.Error()
		}
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
		require.FailNow(t, "no end", "it has not returned, and nothing here takes time: is there a loop that does not end?")
	}
}

// explore makes all orders of the steps of these actors, with at most so many
// changes of the actor while he could go on. It fails where something old is left in
// the cache, and tells the order.
func explore(t *testing.T, kept string, switches int, actors ...string) {
	t.Helper()
	done, stop := make(chan string, 1), make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		hits := 0
		for plan := []int{}; plan != nil; {
			w := &world{memory: &kvtest.Memory{}, plan: plan, switches: switches, stop: stop}
			if fault := w.run(kept, actors); fault != "" {
				done <- fault + "\nThe order was:\n\t" + strings.Join(w.trace, "\n\t")
				return
			}
			if item := w.memory.Peek(key); item != nil && item.Flags != invalidate.Placeholder {
				hits++
			}
			plan = w.next()
		}
		if hits == 0 {
			done <- "Whatever the order, nothing is kept in the end."
			return
		}
		done <- ""
	}()
	select {
	case fault := <-done:
		if fault != "" {
			require.FailNow(t, "an order of the steps has gone wrong", fault)
		}
	case <-time.After(5 * patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no end", "the readers and writers have not come to an end: is there a loop that waits for somebody else?")
	}
}

// world is a database, a cache, and actors who take one step at a time, in an order
// that is planned.
type world struct {
	memory   *kvtest.Memory
	database int   // the version of the order there, from 0 on
	plan     []int // which of those who can go on is next, at each step; 0 behind its end
	switches int   // how often an actor who could go on may have to wait, still
	stop     chan struct{}

	picked, width []int // what was picked at each step, and of how many
	trace         []string
}

type actor struct {
	name  string
	w     *world
	goOn  chan struct{}
	ready chan bool // true: at a step; false: done
	fault string
}

// step waits for the actor's turn.
func (a *actor) step(format string, args ...any) {
	a.ready <- true
	select {
	case <-a.goOn:
	case <-a.w.stop:
		runtime.Goexit()
	}
	a.did(format, args...)
}

func (a *actor) did(format string, args ...any) {
	a.w.trace = append(a.w.trace, a.name+": "+fmt.Sprintf(format, args...))
}

// seat is the cache, as an actor uses it.
type seat struct {
	kv.Cache
	a *actor
}

func (s seat) Get(key string) (*memcache.Item, error) {
	s.a.step("get")
	item, err := s.Cache.Get(key)
	s.a.w.trace[len(s.a.w.trace)-1] += ", there is " + what(item)
	return item, err
}
func (s seat) Set(item *memcache.Item) error {
	s.a.step("set %s", what(item))
	return s.Cache.Set(item)
}
func (s seat) Add(item *memcache.Item) error {
	s.a.step("add %s", what(item))
	return s.Cache.Add(item)
}
func (s seat) CompareAndSwap(item *memcache.Item) error {
	s.a.step("cas %s", what(item))
	err := s.Cache.CompareAndSwap(item)
	if err != nil {
		s.a.w.trace[len(s.a.w.trace)-1] += ", refused"
	}
	return err
}
func (s seat) Delete(key string) error {
	s.a.step("delete")
	return s.Cache.Delete(key)
}

// version is what the database has, as text.
func (w *world) version() string { return fmt.Sprint("v", w.database) }

// run has all actors act, and says what went wrong.
func (w *world) run(kept string, names []string) (fault string) {
	if kept != "" {
		_ = w.memory.Set(&memcache.Item{Key: key, Value: []byte(kept), Flags: 1})
	}
	var waiting []*actor
	for _, name := range names {
		a := &actor{name: name, w: w, goOn: make(chan struct{}), ready: make(chan bool, 1)}
		act := a.read
		if strings.Contains(name, "writer") {
			act = a.write
		}
		go func() {
			a.fault = panics.In(act)
			a.ready <- false
		}()
		if w.waits(a) {
			waiting = append(waiting, a)
		}
		if a.fault != "" {
			return a.fault
		}
	}
	for last := (*actor)(nil); len(waiting) > 0; {
		can := waiting
		if i := index(waiting, last); i >= 0 {
			can = []*actor{last}
			if w.switches > 0 {
				can = append(can, append(append([]*actor{}, waiting[:i]...), waiting[i+1:]...)...)
			}
		}
		pick := 0
		if n := len(w.picked); n < len(w.plan) {
			pick = w.plan[n]
		}
		if w.picked = append(w.picked, pick); len(w.picked) > 100 {
			return "A hundred steps, and no end."
		}
		w.width = append(w.width, len(can))
		if pick > 0 && can[0] == last {
			w.switches--
		}
		last = can[pick]
		last.goOn <- struct{}{}
		if !w.waits(last) {
			i := index(waiting, last)
			waiting = append(append([]*actor{}, waiting[:i]...), waiting[i+1:]...)
		}
		if last.fault != "" {
			return last.fault
		}
	}
	if writers := strings.Count(strings.Join(names, " "), "writer"); w.database != writers {
		return fmt.Sprintf("There were %d calls of Write, and commit was called %d times.", writers, w.database)
	}
	item := w.memory.Peek(key)
	if item != nil && item.Flags != invalidate.Placeholder && string(item.Value) != w.version() {
		return fmt.Sprintf("In the end, the cache has %s and the database %s. All are done, so nobody will delete it.", what(item), w.version())
	}
	return ""
}

// waits waits until a is at a step, or done.
func (w *world) waits(a *actor) bool {
	select {
	case more := <-a.ready:
		return more
	case <-w.stop:
		runtime.Goexit()
		return false
	}
}

func index(all []*actor, a *actor) int {
	for i := range all {
		if all[i] == a {
			return i
		}
	}
	return -1
}

// next is the plan of the next order, or nil.
func (w *world) next() []int {
	for i := len(w.picked) - 1; i >= 0; i-- {
		if w.picked[i]+1 < w.width[i] {
			return append(append([]int{}, w.picked[:i]...), w.picked[i]+1)
		}
	}
	return nil
}

// read is a read by cache-aside.
func (a *actor) read() {
	c, err := invalidate.New(seat{a.w.memory, a}, invalidate.Config{})
	if err != nil {
		panic(err)
	}
	r := c.Reader()
	item, err := r.Get(key)
	if err == nil {
		if item == nil {
			panic("Get returned neither an item nor an error")
		}
		return
	}
	a.step("load")
	value := a.w.version()
	a.w.trace[len(a.w.trace)-1] += " " + value
	_ = r.Set(&memcache.Item{Key: key, Value: []byte(value), Flags: 1, Expiration: 60})
}

// write is a change.
func (a *actor) write() {
	c, err := invalidate.New(seat{a.w.memory, a}, invalidate.Config{})
	if err != nil {
		panic(err)
	}
	_ = c.Write(key, func() error {
		a.step("commit")
		a.w.database++
		a.w.trace[len(a.w.trace)-1] += " " + a.w.version()
		return nil
	})
}
