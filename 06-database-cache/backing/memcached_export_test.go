package backing

import (
	"testing"
	"time"
)

// WithoutMemcached makes this process find no memcached, until t ends.
func WithoutMemcached(t *testing.T) {
	places := memcachedPlaces
	memcachedPlaces = nil
	t.Cleanup(func() { memcachedPlaces = places })
	t.Setenv("PATH", t.TempDir())
}

// WithPatience returns c for a test of an address that stays taken.
func (c MemcachedConfig) WithPatience(d time.Duration) MemcachedConfig {
	c.patience = d
	return c
}
