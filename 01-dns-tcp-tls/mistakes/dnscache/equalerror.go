//go:build ignore

// It knows a no by ==. But package answer says more than "no such name": it says
// which one, in an error of its own around dns.ErrNoSuchName, and that is not the
// same value. So no "no" is ever remembered.
//
//workshop:caught-by TestLookup/remembers_that_a_name_does_not_exist
//workshop:says errors.Is finds what is inside
package dnscache

import (
	"context"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func (c *Cache) fly(f *flight, key, q dns.Question) {
	ctx, cancel := context.WithTimeout(c.ctx, Timeout)
	defer cancel()
	f.answer, f.err = c.lookup(ctx, q)

	c.mu.Lock()
	defer c.mu.Unlock()
	no := f.err == dns.ErrNoSuchName || f.err == dns.ErrNoData
	if f.answer.TTL > 0 && (f.err == nil || no) {
		c.storeLocked(key, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key)
	close(f.done)
}
