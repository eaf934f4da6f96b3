//go:build ignore

// It returns the error of the cache. So the shop is closed while the cache is down,
// although the database is well: what was to make it quicker makes it break more
// often.
//
//workshop:caught-by TestGet/loads_when_the_cache_is_down
//workshop:says without it they are slow, not broken
package cacheaside

import (
	"context"

	"clicktocode.example/06-database-cache/kv"
)

func (a *Aside[V]) Get(ctx context.Context, store kv.Store, key string, load func(ctx context.Context) (v V, found bool, err error)) (v V, found bool, err error) {
	v, found, err = a.Peek(store, key)
	if err == nil || kv.Fault(err) {
		return v, found, err
	}
	v, found, err = load(ctx)
	if err != nil {
		var none V
		return none, false, err
	}
	ttl := a.config.TTL
	if !found {
		ttl = a.config.AbsentTTL
	}
	if item := a.item(key, v, found, Expiration(ttl, a.config.Jitter, a.config.Rand())); item != nil {
		_ = store.Set(item)
	}
	return v, found, nil
}
