//go:build ignore

// It looks into its memory, and asks when it finds nothing. While the first
// caller asks, all others find nothing too: each of them asks the same.
//
//workshop:caught-by TestLookup/makes_one_look_up_for_a_thousand_callers
//workshop:says one look-up is enough
package dnscache

import (
	"context"
	"slices"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func (c *Cache) Lookup(ctx context.Context, q dns.Question) (dns.Answer, error) {
	key := keyOf(q)
	c.mu.Lock()
	if e, ok := c.entries[key]; ok {
		if left := time.Until(e.expires); left > 0 {
			c.mu.Unlock()
			return dns.Answer{Addrs: slices.Clone(e.answer.Addrs), TTL: left}, e.err
		}
	}
	f := &flight{done: make(chan struct{})}
	c.running.Go(func() { c.fly(f, key, q) })
	c.mu.Unlock()

	select {
	case <-f.done:
		return dns.Answer{Addrs: slices.Clone(f.answer.Addrs), TTL: f.answer.TTL}, f.err
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}
