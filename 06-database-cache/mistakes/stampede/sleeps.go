//go:build ignore

// It waits for another's lock by time.Sleep, and looks at nothing else. Who ends the
// process waits as long as the other one holds the lock, and if that one has died, for
// seconds.
//
//workshop:caught-by TestLock/is_waited_for_until_Close
//workshop:says where time.Sleep sleeps on
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
		}
		if v, ok := peek(); ok {
			return v, nil
		}
		if taken == nil {
			return g.call(ctx, reload)
		}
		time.Sleep(g.config.Poll)
	}
}
