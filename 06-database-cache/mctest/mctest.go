// Package mctest gives tests a memcached: the embedded server and a real one, a
// proxy that makes either slow, silent or gone, and the suite that both pass.
package mctest

import (
	"errors"
	"os"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/backing"
)

// Each runs body once against the embedded server and once against a real
// memcached, as the subtests "embedded server" and "memcached". Each gets a server
// of its own, which is empty, and a client of it; both end with the subtest, so
// nothing that body leaves running can reach another test. Where memcached is not
// installed, its subtest is skipped, and says how to get it; it fails where the
// environment has CI set.
func Each(t *testing.T, body func(t *testing.T, c *memcache.Client)) {
	t.Helper()
	t.Run("embedded server", func(t *testing.T) {
		body(t, Client(t, Open(t, backing.MemcachedConfig{Embedded: true})))
	})
	t.Run("memcached", func(t *testing.T) {
		body(t, Client(t, Open(t, backing.MemcachedConfig{NoEmbedded: true})))
	})
}

// Open is backing.OpenMemcached for a test: it returns the server's address, and the
// server ends with t. With NoEmbedded it skips t, or fails it, as Each does.
func Open(t testing.TB, c backing.MemcachedConfig) (addr string) {
	t.Helper()
	m, err := backing.OpenMemcached(t.Context(), c)
	if errors.Is(err, backing.ErrNoMemcached) && os.Getenv("CI") == "" {
		t.Skip("not checked against memcached: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.Servers[0]
}

// Client returns a client of the server at addr, closed with t.
func Client(t testing.TB, addr string) *memcache.Client {
	t.Helper()
	c := memcache.New(addr)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error("mctest: ", err)
		}
	})
	return c
}
