//go:build ignore

// It hands out the slice that it keeps. A caller who sorts or changes it changes
// the answer of everyone who asks later, and while others read it.
//
//workshop:caught-by TestLookup/gives_each_caller_its_own_slice
//workshop:says return a copy
package dnscache

import (
	"context"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func (c *Cache) Lookup(ctx context.Context, q dns.Question) (dns.Answer, error) {
	key := keyOf(q)
	c.mu.Lock()
	if e, ok := c.entries[key]; ok {
		if left := time.Until(e.expires); left > 0 {
			c.mu.Unlock()
			return dns.Answer{Addrs: e.answer.Addrs, TTL: left}, e.err
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
		return f.answer, f.err
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}
