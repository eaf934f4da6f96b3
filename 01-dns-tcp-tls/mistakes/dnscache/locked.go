//go:build ignore

// It holds the lock while it asks. Then one slow server stops every caller, of
// every name, even those whose answer is in memory; and nobody can leave.
//
//workshop:caught-by TestLookup/does_not_hold_up_another_name
//workshop:says a lock is held while asking
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
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		if left := time.Until(e.expires); left > 0 {
			return dns.Answer{Addrs: slices.Clone(e.answer.Addrs), TTL: left}, e.err
		}
	}
	asking, cancel := context.WithTimeout(c.ctx, Timeout)
	defer cancel()
	answer, err := c.lookup(asking, q)
	no := errors.Is(err, dns.ErrNoSuchName) || errors.Is(err, dns.ErrNoData)
	if answer.TTL > 0 && (err == nil || no) {
		c.storeLocked(key, entry{answer, err, time.Now().Add(answer.TTL)})
	}
	return dns.Answer{Addrs: slices.Clone(answer.Addrs), TTL: answer.TTL}, err
}
