//go:build ignore

// It peeks only when it has the lock itself. What all wait for has been in the cache
// for a while, and they queue for the lock all the same, one behind the other.
//
//workshop:caught-by TestLock/is_no_reason_to_wait_for_what_is_there
//workshop:says who waits peeks each time
package stampede

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
)

func (g *Group[V]) lead(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	lock := &memcache.Item{Key: kv.Key("lock", key), Value: []byte(rand.Text()), Expiration: g.lock}
	for {
		taken := g.cache.Add(lock)
		if kv.Fault(taken) {
			return g.call(ctx, reload)
		}
		if taken == nil {
			defer g.release(lock)
			if v, ok := peek(); ok {
				return v, nil
			}
			return g.call(ctx, reload)
		}
		select {
		case <-time.After(g.config.Poll):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}
