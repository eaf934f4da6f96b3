package backing

import "testing"

// WithoutMemcached makes this process find no memcached, until t ends.
func WithoutMemcached(t *testing.T) {
	places := memcachedPlaces
	memcachedPlaces = nil
	t.Cleanup(func() { memcachedPlaces = places })
	t.Setenv("PATH", t.TempDir())
}
