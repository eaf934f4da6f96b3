//go:build ignore

// Its placeholder has no Expiration, so it stands for ever. It does no harm to the
// next readers, who put a value in its place. But those of keys that nobody asks for
// again stay, and take the room of what is asked for.
//
//workshop:caught-by TestReader/puts_a_placeholder_that_ends
//workshop:says it would stand for ever
package invalidate

import (
	"errors"

	"github.com/bradfitz/gomemcache/memcache"
)

func (r *Reader) Get(key string) (*memcache.Item, error) {
	item, err := r.cache.Get(key)
	if errors.Is(err, memcache.ErrCacheMiss) {
		err = r.cache.Add(&memcache.Item{Key: key, Flags: Placeholder})
		if err == nil || errors.Is(err, memcache.ErrNotStored) {
			item, err = r.cache.Get(key)
		}
	}
	if err != nil {
		return nil, err
	}
	r.seen = item
	if item.Flags == Placeholder {
		return nil, memcache.ErrCacheMiss
	}
	return item, nil
}
