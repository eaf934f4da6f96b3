//go:build ignore

// It knows a placeholder by its empty value. But a value may be empty, too, such as a
// list of nothing: that is loaded with each read, for ever. And another release may
// put something into its placeholders, and then it is shown to a customer.
//
//workshop:caught-by TestReader/knows_a_placeholder_by_its_flags
//workshop:says its value says nothing
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
	r.seen = item
	if len(item.Value) == 0 {
		return nil, memcache.ErrCacheMiss
	}
	return item, nil
}
