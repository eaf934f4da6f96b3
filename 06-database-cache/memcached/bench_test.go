package memcached_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/mctest"
	"clicktocode.example/06-database-cache/memcached"
)

// BenchmarkClient is what a client sees: beside each other the embedded server and,
// where it is installed, memcached. One call in ten is a set.
func BenchmarkClient(b *testing.B) {
	value := []byte(strings.Repeat("v", 1000))
	for _, server := range []struct {
		name string
		backing.MemcachedConfig
	}{
		{"embedded", backing.MemcachedConfig{Embedded: true}},
		{"memcached", backing.MemcachedConfig{NoEmbedded: true}},
	} {
		for _, clients := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", server.name, clients), func(b *testing.B) {
				c := mctest.Client(b, mctest.Open(b, server.MemcachedConfig))
				c.MaxIdleConns = 1000
				for i := range 1000 {
					if err := c.Set(&memcache.Item{Key: fmt.Sprint("key-", i), Value: value}); err != nil {
						b.Fatal(err)
					}
				}
				var calls atomic.Int64
				b.SetParallelism(max(1, clients/2))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						n := calls.Add(1)
						key := fmt.Sprint("key-", n*7919%1000)
						var err error
						if n%10 == 0 {
							err = c.Set(&memcache.Item{Key: key, Value: value})
						} else {
							_, err = c.Get(key)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkCache is the lock and what is done under it, without a network: what is
// left of it in BenchmarkClient says what more locks could save.
func BenchmarkCache(b *testing.B) {
	for _, cached := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("items=%d", cached), func(b *testing.B) {
			s, err := memcached.New(memcached.Config{})
			if err != nil {
				b.Fatal(err)
			}
			keys := make([][]byte, cached)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "key-%d", i)
				s.Set(keys[i], []byte("value"))
			}
			var workers atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := int(workers.Add(1)) * 7919; pb.Next(); i += 7919 {
					if !s.Get(keys[i%len(keys)]) {
						b.Error("absent")
						return
					}
				}
			})
		})
	}
}
