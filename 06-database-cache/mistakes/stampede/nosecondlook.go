//go:build ignore

// Who gets the lock reloads at once. But between its last look into the cache and
// the lock, another replica may have kept the value and given the lock back. So the
// replicas do reload, only one after the other.
//
//workshop:caught-by TestLock/is_no_reason_to_reload_what_is_there_by_now
//workshop:says Who has the lock peeks once more
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
			return g.call(ctx, reload)
		}
		if v, ok := peek(); ok {
			return v, nil
		}
		select {
		case <-time.After(g.config.Poll):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}
