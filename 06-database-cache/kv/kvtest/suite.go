package kvtest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/kv"
)

// TestCache is the suite of kv.Cache. newCache returns an empty one.
func TestCache(t *testing.T, newCache func(t *testing.T) kv.Cache) {
	item := func(value string) *memcache.Item {
		return &memcache.Item{Key: "k", Value: []byte(value), Expiration: 60}
	}
	value := func(t *testing.T, c kv.Cache) string {
		t.Helper()
		got, err := c.Get("k")
		require.NoError(t, err)
		return string(got.Value)
	}

	t.Run("misses_what_was_not_kept", func(t *testing.T) {
		_, err := newCache(t).Get("k")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})

	t.Run("keeps_octets_and_flags", func(t *testing.T) {
		c := newCache(t)
		want := &memcache.Item{Key: "k", Value: []byte("a\r\nEND\r\n\x00"), Flags: 1<<32 - 1}
		require.NoError(t, c.Set(want))
		got, err := c.Get("k")
		require.NoError(t, err)
		assert.Equal(t, want.Value, got.Value)
		assert.Equal(t, want.Flags, got.Flags)
		assert.NotZero(t, got.CasID)
	})

	t.Run("keeps_no_value", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Set(item("")))
		assert.Empty(t, value(t, c))
	})

	t.Run("an_item_is_the_callers_own", func(t *testing.T) {
		c := newCache(t)
		given := item("one")
		require.NoError(t, c.Set(given))
		assert.Equal(t, item("one"), given, "Set changes nothing of what it is given")
		given.Value[0] = 'x'
		got, err := c.Get("k")
		require.NoError(t, err)
		got.Value[1] = 'x'
		assert.Equal(t, "one", value(t, c))
	})

	t.Run("set_replaces", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Set(item("one")))
		require.NoError(t, c.Set(item("two")))
		assert.Equal(t, "two", value(t, c))
	})

	t.Run("add_keeps_what_is_there", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Add(item("one")))
		require.ErrorIs(t, c.Add(item("two")), memcache.ErrNotStored)
		assert.Equal(t, "one", value(t, c))
	})

	t.Run("of_many_at_once_one_adds", func(t *testing.T) {
		c := newCache(t)
		var added atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := c.Add(item("one")); err == nil {
					added.Add(1)
				} else {
					assert.ErrorIs(t, err, memcache.ErrNotStored)
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, 1, added.Load())
	})

	t.Run("cas_replaces_what_was_read", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Set(item("one")))
		got, err := c.Get("k")
		require.NoError(t, err)
		got.Value = []byte("two")
		require.NoError(t, c.CompareAndSwap(got))
		assert.Equal(t, "two", value(t, c))
		require.ErrorIs(t, c.CompareAndSwap(got), memcache.ErrCASConflict, "a CAS ID is good for one change")
	})

	t.Run("cas_leaves_what_was_changed", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Set(item("one")))
		got, err := c.Get("k")
		require.NoError(t, err)
		require.NoError(t, c.Set(item("one")))
		require.ErrorIs(t, c.CompareAndSwap(got), memcache.ErrCASConflict, "the same value was kept again: it is another item")
	})

	t.Run("cas_keeps_nothing_that_was_deleted", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Set(item("one")))
		got, err := c.Get("k")
		require.NoError(t, err)
		require.NoError(t, c.Delete("k"))
		require.ErrorIs(t, c.CompareAndSwap(got), memcache.ErrCacheMiss)
		require.NoError(t, c.Add(item("two")))
		require.ErrorIs(t, c.CompareAndSwap(got), memcache.ErrCASConflict, "it was deleted and kept again: it is another item")
		assert.Equal(t, "two", value(t, c))
	})

	t.Run("deletes", func(t *testing.T) {
		c := newCache(t)
		require.ErrorIs(t, c.Delete("k"), memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("one")))
		require.NoError(t, c.Delete("k"))
		_, err := c.Get("k")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})

	t.Run("expires", func(t *testing.T) {
		c := newCache(t)
		for what, seconds := range map[string]int32{"at once": -1, "in 1970": 31 * 24 * 60 * 60} {
			short := item("one")
			short.Expiration = seconds
			require.NoError(t, c.Set(short))
			_, err := c.Get("k")
			require.ErrorIs(t, err, memcache.ErrCacheMiss, "Expiration is %d: it has expired %s", seconds, what)
		}
		for _, seconds := range []int32{0, 2, 30 * 24 * 60 * 60, int32(time.Now().Add(31 * 24 * time.Hour).Unix())} {
			long := item("one")
			long.Expiration = seconds
			require.NoError(t, c.Set(long))
			assert.Equal(t, "one", value(t, c), "Expiration is %d", seconds)
		}
	})

	t.Run("cas_can_let_expire", func(t *testing.T) {
		c := newCache(t)
		require.NoError(t, c.Add(item("one")))
		got, err := c.Get("k")
		require.NoError(t, err)
		got.Expiration = -1
		require.NoError(t, c.CompareAndSwap(got))
		require.NoError(t, c.Add(item("two")), "it has expired, so there is nothing")
	})

	t.Run("knows_keys_by_their_rules", func(t *testing.T) {
		c := newCache(t)
		for _, key := range []string{"a b", "a\r\nflush_all", "a\x00", strings.Repeat("k", 251)} {
			_, err := c.Get(key)
			require.ErrorIs(t, err, memcache.ErrMalformedKey, "Get(%.20q)", key)
			require.ErrorIs(t, c.Set(&memcache.Item{Key: key}), memcache.ErrMalformedKey, "Set(%.20q)", key)
			require.ErrorIs(t, c.Delete(key), memcache.ErrMalformedKey, "Delete(%.20q)", key)
		}
		long := &memcache.Item{Key: strings.Repeat("k", 250), Value: []byte("one")}
		require.NoError(t, c.Set(long))
		got, err := c.Get(long.Key)
		require.NoError(t, err)
		assert.Equal(t, long.Value, got.Value)
	})

	t.Run("bounds_values", func(t *testing.T) {
		c := newCache(t)
		large := &memcache.Item{Key: "large", Value: make([]byte, kv.MaxValue)}
		require.NoError(t, c.Set(large))
		got, err := c.Get("large")
		require.NoError(t, err)
		assert.Len(t, got.Value, kv.MaxValue)
		large.Value = make([]byte, kv.MaxValue+1<<11)
		err = c.Set(large)
		require.Error(t, err)
		assert.True(t, kv.Fault(err))
		require.NoError(t, c.Set(item("one")), "it goes on after that")
	})
}
