//go:build ignore

// It thinks of giving the lock back when it reloads. But it has the lock already when it
// peeks once more, and if that finds something, the lock stays until it expires: the
// next miss waits for nobody.
//
//workshop:caught-by TestLock/is_no_reason_to_reload_what_is_there_by_now
//workshop:says gives it back in any case
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
		if v, ok := peek(); ok {
			return v, nil
		}
		if taken == nil {
			defer g.release(lock)
			return g.call(ctx, reload)
		}
		select {
		case <-time.After(g.config.Poll):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}
