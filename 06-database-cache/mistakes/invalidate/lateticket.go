//go:build ignore

// It asks for the CAS ID in Set, when the value has been loaded long ago. Whatever
// stands there by then, also what was put there after a delete, it takes for its own
// ticket, and replaces it by what is old.
//
//workshop:caught-by TestReader/keeps_nothing_by_the_ticket_of_another
//workshop:says one that is fetched in Set is too young
package invalidate

import "github.com/bradfitz/gomemcache/memcache"

func (r *Reader) Set(item *memcache.Item) error {
	if r.seen == nil {
		return memcache.ErrNotStored
	}
	now, err := r.cache.Get(item.Key)
	if err != nil {
		return err
	}
	with := *item
	with.CasID = now.CasID
	return r.cache.CompareAndSwap(&with)
}
