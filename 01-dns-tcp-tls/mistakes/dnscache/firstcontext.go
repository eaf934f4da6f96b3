//go:build ignore

// It asks in the context of the caller who came first. When that one leaves, the
// look-up ends for all who wait with it.
//
//workshop:caught-by TestLookup/stops_nobody_when_the_first_caller_leaves
//workshop:says It needs a context of its own
package dnscache

import (
	"context"
	"errors"
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
	f, ok := c.flights[key]
	if !ok {
		f = &flight{done: make(chan struct{})}
		c.flights[key] = f
		c.running.Go(func() { c.flyIn(ctx, f, key, q) })
	}
	c.mu.Unlock()

	select {
	case <-f.done:
		return dns.Answer{Addrs: slices.Clone(f.answer.Addrs), TTL: f.answer.TTL}, f.err
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
}

func (c *Cache) flyIn(ctx context.Context, f *flight, key, q dns.Question) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	f.answer, f.err = c.lookup(ctx, q)

	c.mu.Lock()
	defer c.mu.Unlock()
	no := errors.Is(f.err, dns.ErrNoSuchName) || errors.Is(f.err, dns.ErrNoData)
	if f.answer.TTL > 0 && (f.err == nil || no) {
		c.storeLocked(key, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key)
	close(f.done)
}
