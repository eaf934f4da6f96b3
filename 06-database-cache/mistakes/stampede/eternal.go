//go:build ignore

// Its lock has no Expiration. All is well until a replica is killed in the middle of
// a reload. From then on the sign hangs there, and each request for the menu waits
// for somebody who is dead.
//
//workshop:caught-by TestLock/has_an_end
//workshop:says 0 means for ever
package stampede

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
)

func (g *Group[V]) lead(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	lock := &memcache.Item{Key: kv.Key("lock", key), Value: []byte(rand.Text())}
	for {
		taken := g.cache.Add(lock)
		if kv.Fault(taken) {
			return g.call(ctx, reload)
		}
		if taken == nil {
			defer g.release(lock)
		}
		if v, ok := peek(); ok {
			return v, nil
		}
		if taken == nil {
			return g.call(ctx, reload)
		}
		select {
		case <-time.After(g.config.Poll):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}
