//go:build ignore

// It looks under the name in lower case, and stores under the name as it was
// asked. What was asked in capitals is never found again: asked a thousand
// times, it is looked up a thousand times.
//
//workshop:caught-by TestLookup/finds_what_was_first_asked_in_capitals
//workshop:says the key where the answer is stored
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
	f.answer, f.err = c.lookup(ctx, q)

	c.mu.Lock()
	defer c.mu.Unlock()
	no := errors.Is(f.err, dns.ErrNoSuchName) || errors.Is(f.err, dns.ErrNoData)
	if f.answer.TTL > 0 && (f.err == nil || no) {
		c.storeLocked(q, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key)
	close(f.done)
}
