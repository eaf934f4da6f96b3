//go:build ignore

// It stores what has a TTL of zero, as expired at once. Nobody is given it, so
// nothing seems to be wrong. But it takes a place: in a full cache, whoever asks
// for such a name throws out an answer that was good for another hour.
//
//workshop:caught-by TestLookup/gives_no_place_to_what_it_must_not_remember
//workshop:says had to make room for it
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
	if f.err == nil || no {
		c.storeLocked(key, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key)
	close(f.done)
}
