//go:build ignore

// It gives every caller the whole TTL, however old the answer is. A cache behind
// this one then starts to count anew, and keeps the answer far too long.
//
//workshop:caught-by TestLookup/counts_the_TTL_down
//workshop:says of 60 s, 20 have passed
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
		if time.Now().Before(e.expires) {
			c.mu.Unlock()
			return dns.Answer{Addrs: slices.Clone(e.answer.Addrs), TTL: e.answer.TTL}, e.err
		}
	}
	f, ok := c.flights[key]
	if !ok {
		f = &flight{done: make(chan struct{})}
		c.flights[key] = f
		c.running.Go(func() { c.fly(f, key, q) })
	}
	c.mu.Unlock()

	select {
	case <-f.done:
		return dns.Answer{Addrs: slices.Clone(f.answer.Addrs), TTL: f.answer.TTL}, f.err
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}
