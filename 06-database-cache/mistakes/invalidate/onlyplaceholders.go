//go:build ignore

// It remembers the CAS ID of a placeholder, but not that of a value. A value that
// nobody can decode any more then cannot be replaced: until its TTL is over, each
// read finds it, loads, and fails to keep what it loaded.
//
//workshop:caught-by TestReader/replaces_what_could_not_be_used
//workshop:says If only placeholders can be replaced
package invalidate

import (
	"errors"

	"github.com/bradfitz/gomemcache/memcache"
)

func (r *Reader) Get(key string) (*memcache.Item, error) {
	item, err := r.cache.Get(key)
	if errors.Is(err, memcache.ErrCacheMiss) {
		err = r.cache.Add(&memcache.Item{Key: key, Flags: Placeholder, Expiration: r.loading})
		if err == nil || errors.Is(err, memcache.ErrNotStored) {
			item, err = r.cache.Get(key)
		}
	}
	if err != nil {
		return nil, err
	}
	if item.Flags == Placeholder {
		r.seen = item
		return nil, memcache.ErrCacheMiss
	}
	return item, nil
}
