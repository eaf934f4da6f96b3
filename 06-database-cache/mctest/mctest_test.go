package mctest_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/mctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEach(t *testing.T) {
	mctest.Each(t, func(t *testing.T, c *memcache.Client) {
		_, err := c.Get("menu")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
		require.NoError(t, c.Set(&memcache.Item{Key: "menu", Value: []byte("soup")}))
		item, err := c.Get("menu")
		require.NoError(t, err)
		require.Equal(t, "soup", string(item.Value))
	})
}

func TestConformance(t *testing.T) {
	for name, config := range map[string]backing.MemcachedConfig{
		"embedded server": {Embedded: true},
		"memcached":       {NoEmbedded: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mctest.Conformance(t, func(t testing.TB, maxBytes int64) string {
				config := config
				config.MaxBytes = maxBytes
				return mctest.Open(t, config)
			})
		})
	}
}

func TestProxy(t *testing.T) {
	open := func(t *testing.T) (*mctest.Proxy, *memcache.Client) {
		p := mctest.NewProxy(t, mctest.Open(t, backing.MemcachedConfig{Embedded: true}))
		c := mctest.Client(t, p.Addr)
		require.NoError(t, c.Set(&memcache.Item{Key: "menu", Value: []byte("soup")}))
		return p, c
	}
	get := func(c *memcache.Client) error {
		_, err := c.Get("menu")
		return err
	}

	t.Run("passes_everything_on", func(t *testing.T) {
		p, c := open(t)
		require.NoError(t, get(c))
		assert.Equal(t, 1, p.Dials())
	})
	t.Run("slow", func(t *testing.T) {
		p, c := open(t)
		p.Slow(60 * time.Millisecond)
		before := time.Now()
		require.NoError(t, get(c))
		assert.GreaterOrEqual(t, time.Since(before), 60*time.Millisecond)
		c.Timeout = 20 * time.Millisecond
		var timeout net.Error
		require.ErrorAs(t, get(c), &timeout)
		require.True(t, timeout.Timeout())
	})
	t.Run("hangs", func(t *testing.T) {
		p, c := open(t)
		p.Hang()
		c.Timeout = 20 * time.Millisecond
		for range 2 {
			var timeout net.Error
			require.ErrorAs(t, get(c), &timeout)
			require.True(t, timeout.Timeout())
		}
		assert.Equal(t, 2, p.Dials(), "one for the set, and one since its connection has failed")

		c.Timeout = 5 * time.Second
		heard := make(chan error)
		go func() { heard <- get(c) }()
		p.Pass()
		require.NoError(t, <-heard)
	})
	t.Run("cuts", func(t *testing.T) {
		p, c := open(t)
		p.Cut()
		require.Error(t, get(c))
		require.Error(t, get(c))
		assert.Equal(t, 2, p.Dials())
		p.Pass()
		require.NoError(t, get(c))
	})
	t.Run("ends_when_the_server_does", func(t *testing.T) {
		p := mctest.NewProxy(t, "127.0.0.1:1")
		conn, err := net.Dial("tcp", p.Addr)
		require.NoError(t, err)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}
