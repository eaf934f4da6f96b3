//go:build ignore

// It keeps a copy in memory and gives copies from there, but those who waited for
// the look-up all get the slice that it returned. When one of them sorts it, the
// others read addresses that move under their eyes.
//
//workshop:caught-by TestLookup/gives_each_of_those_who_wait_its_own_slice
//workshop:says this is the slice of the second
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

func (c *Cache) fly(f *flight, key, q dns.Question) {
	ctx, cancel := context.WithTimeout(c.ctx, Timeout)
	defer cancel()
	f.answer, f.err = c.lookup(ctx, q)

	c.mu.Lock()
	defer c.mu.Unlock()
	no := errors.Is(f.err, dns.ErrNoSuchName) || errors.Is(f.err, dns.ErrNoData)
	if f.answer.TTL > 0 && (f.err == nil || no) {
		kept := dns.Answer{Addrs: slices.Clone(f.answer.Addrs), TTL: f.answer.TTL}
		c.storeLocked(key, entry{kept, f.err, time.Now().Add(kept.TTL)})
	}
	delete(c.flights, key)
	close(f.done)
}
