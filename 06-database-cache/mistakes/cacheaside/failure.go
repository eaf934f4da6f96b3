//go:build ignore

// It treats an error of load like an answer that there is none, and keeps that. So
// a second in which the database was away is served for as long as the TTL: dishes
// that exist are not found.
//
//workshop:caught-by TestGet/never_keeps_a_failure
//workshop:says a failure was kept as an absence
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
	if kv.Fault(fault) {
		return v, found, err
	}
	ttl := a.config.TTL
	if !found {
		ttl = a.config.AbsentTTL
	}
	if item := a.item(key, v, found, Expiration(ttl, a.config.Jitter, a.config.Rand())); item != nil {
		_ = store.Set(item)
	}
	return v, found, err
}
