//go:build ignore

// It sets what was loaded, whatever has happened meanwhile. A reader who was slow
// puts the old value back, after the writer has deleted it, and there it stays.
//
//workshop:caught-by TestReader/keeps_nothing_that_was_deleted_meanwhile
//workshop:says A plain set does
package invalidate

import "github.com/bradfitz/gomemcache/memcache"

func (r *Reader) Set(item *memcache.Item) error {
	if r.seen == nil {
		return memcache.ErrNotStored
	}
	return r.cache.Set(item)
}
