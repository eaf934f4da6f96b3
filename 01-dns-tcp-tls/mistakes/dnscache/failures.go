//go:build ignore

// After a failure there is nothing to remember, so it returns early, and leaves
// the finished flight where the next caller finds and joins it. One fault of a
// server's, and the name is dead for as long as the program runs.
//
//workshop:caught-by TestLookup/does_not_remember_a_failing_server
//workshop:says got that failure again
package dnscache

import (
	"context"
	"errors"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func (c *Cache) fly(f *flight, key, q dns.Question) {
	ctx, cancel := context.WithTimeout(c.ctx, Timeout)
	defer cancel()
	defer close(f.done)
	f.answer, f.err = c.lookup(ctx, q)
	no := errors.Is(f.err, dns.ErrNoSuchName) || errors.Is(f.err, dns.ErrNoData)
	if f.err != nil && !no {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.answer.TTL > 0 {
		c.storeLocked(key, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key)
}
