//go:build ignore

// It has the cache's get fail, loads, and sets what it loaded nevertheless. A server
// that hangs lets each of the two calls wait until the timeout, so that the outage
// costs each customer twice the time.
//
//workshop:caught-by TestGet/does_not_wait_for_a_dead_cache_twice
//workshop:says would wait for it once more
package cacheaside

import (
	"context"

	"clicktocode.example/06-database-cache/kv"
)

func (a *Aside[V]) Get(ctx context.Context, store kv.Store, key string, load func(ctx context.Context) (v V, found bool, err error)) (v V, found bool, err error) {
	v, found, fault := a.Peek(store, key)
	if fault == nil {
		return v, found, nil
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
