//go:build ignore

// It gives the lock back when the reload has succeeded, and leaves it where it is
// after a failure. The next one, who might succeed, waits for a lock that nobody
// holds, until it expires.
//
//workshop:caught-by TestLock/is_given_back_after_a_failure
//workshop:says nobody has the lock, so it does not wait until one ends
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
			if taken == nil {
				g.release(lock)
			}
			return v, nil
		}
		if taken == nil {
			if v, err = g.call(ctx, reload); err != nil {
				return v, err
			}
			g.release(lock)
			return v, nil
		}
		select {
		case <-time.After(g.config.Poll):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}
