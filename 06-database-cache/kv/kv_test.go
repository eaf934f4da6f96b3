package kv_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
)

func TestCache(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		kvtest.TestCache(t, func(t *testing.T) kv.Cache { return &kvtest.Memory{} })
	})
	t.Run("spread", func(t *testing.T) {
		kvtest.TestCache(t, func(t *testing.T) kv.Cache {
			return kv.Spread(&kvtest.Memory{}, &kvtest.Memory{}, &kvtest.Memory{})
		})
	})
	mctest.Each(t, func(t *testing.T, c *memcache.Client) {
		kvtest.TestCache(t, func(t *testing.T) kv.Cache {
			require.NoError(t, c.FlushAll())
			return c
		})
	})
}

func TestKey(t *testing.T) {
	t.Run("joins_parts", func(t *testing.T) {
		assert.Equal(t, "v1:menu", kv.Key("menu"))
		assert.Equal(t, "v1:order:7", kv.Key("order", "7"))
	})

	t.Run("hashes_what_no_key_may_hold", func(t *testing.T) {
		for _, part := range []string{"a b", "a\r\nflush_all", "a:b", "#a", "é", "\xff", "\x7f", strings.Repeat("a", 101)} {
			assert.Regexp(t, `^v1:order:#[0-9a-f]{64}$`, kv.Key("order", part), "%q", part)
		}
		assert.LessOrEqual(t, len(kv.Key(strings.Split(strings.Repeat("a", 200), "")...)), 250)
	})

	t.Run("keeps_parts_apart", func(t *testing.T) {
		seen := map[string][]string{}
		for _, parts := range [][]string{{"a"}, {"a", ""}, {"", "a"}, {"a:"}, {"a", "b"}, {"a:b"}, {"b", "a"}, {"A"}, {"a "}, {"a\n"}, {strings.Repeat("a", 300)}, {strings.Repeat("a", 301)}} {
			key := kv.Key(parts...)
			assert.Empty(t, seen[key], "%q make the same key", parts)
			seen[key] = parts
		}
	})
}

func TestFault(t *testing.T) {
	for _, err := range []error{nil, memcache.ErrCacheMiss, memcache.ErrNotStored, memcache.ErrCASConflict, memcache.ErrMalformedKey, fmt.Errorf("menu: %w", memcache.ErrCacheMiss)} {
		assert.False(t, kv.Fault(err), "%v", err)
	}
	for _, err := range []error{io.EOF, kv.ErrDown, memcache.ErrServerError, memcache.ErrNoServers, &memcache.ConnectTimeoutError{Addr: &net.TCPAddr{}}, errors.New("memcache: unexpected response line")} {
		assert.True(t, kv.Fault(err), "%v", err)
	}
}

func TestSpread(t *testing.T) {
	t.Run("uses_all", func(t *testing.T) {
		parts := []*kvtest.Memory{{}, {}, {}}
		c := kv.Spread(parts[0], parts[1], parts[2])
		for i := range 300 {
			require.NoError(t, c.Set(&memcache.Item{Key: kv.Key("order", fmt.Sprint(i))}))
		}
		for i, part := range parts {
			assert.Greater(t, len(part.Calls()), 50, "keys of part %d, of 300 in 3", i)
		}
	})

	t.Run("leaves_the_others_when_one_is_down", func(t *testing.T) {
		down := &kvtest.Memory{}
		down.Before(func(kvtest.Call) error { return kv.ErrDown })
		c := kv.Spread(down, &kvtest.Memory{})
		failed := 0
		for i := range 100 {
			if err := c.Set(&memcache.Item{Key: kv.Key("order", fmt.Sprint(i))}); err != nil {
				require.ErrorIs(t, err, kv.ErrDown)
				failed++
			}
		}
		assert.InDelta(t, 50, failed, 25, "of 100 keys, those of the one that is down")
	})
}

func TestNew(t *testing.T) {
	t.Run("connects_to_nobody", func(t *testing.T) {
		c, err := kv.New("127.0.0.1:1", kv.Config{})
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})

	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := kv.New("nowhere", kv.Config{Timeout: -1, MaxIdle: -2})
		require.Error(t, err)
		for _, part := range []string{`server "nowhere"`, "Timeout is -1ns", "MaxIdle is -2"} {
			assert.Contains(t, err.Error(), part)
		}
	})
}
