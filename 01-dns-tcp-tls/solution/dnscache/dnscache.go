// Package dnscache remembers the answers of look-ups, as long as their TTL
// says, and lets many callers wait for one look-up.
//
// A "no" is remembered too: most questions that a busy resolver hears are for
// names that do not exist, and asking for them again and again helps nobody
// (RFC 2308). A failure is not remembered: it says nothing about the name.
//
// When not to use it: answers may be old by as much as their TTL. Whoever must
// know of a change at once, asks.
//
// Source: RFC 1034 §3.6 and §5.3.3; RFC 2181 §5.2 and §8; RFC 2308 §5.
package dnscache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

const (
	// Timeout is how long one look-up may take, all its attempts included.
	Timeout = 10 * time.Second
	// MaxEntries is how many answers are remembered. Beyond that, one that
	// would be forgotten soon goes early. Without a bound, whoever makes up
	// names fills the memory.
	MaxEntries = 1024
)

// Lookup answers q, as package answer does: beside dns.ErrNoSuchName and
// dns.ErrNoData, the answer's TTL says how long that "no" may be remembered;
// beside any other error it means nothing. The answer's slice is the cache's
// from then on. A Lookup is called by many goroutines at once, and returns when
// ctx ends.
type Lookup func(ctx context.Context, q dns.Question) (dns.Answer, error)

// Cache is a Lookup with a memory. It may be used by many at once. Make it
// with New; whoever does so calls Close.
type Cache struct {
	lookup  Lookup
	ctx     context.Context // of the look-ups; Close ends it
	cancel  context.CancelFunc
	running sync.WaitGroup // the look-ups under way; Close waits for them

	mu      sync.Mutex // guards what follows; never held while a look-up runs
	entries map[dns.Question]entry
	flights map[dns.Question]*flight
}

// entry is an answer that is remembered.
type entry struct {
	answer  dns.Answer // its slice is never given away, only copies
	err     error      // nil, or wraps dns.ErrNoSuchName or dns.ErrNoData
	expires time.Time
}

// flight is a look-up under way, for all who wait for it.
type flight struct {
	done   chan struct{} // closed once answer and err are set, which then stay
	answer dns.Answer
	err    error
}

// New returns an empty cache of what lookup finds.
func New(lookup Lookup) *Cache {
	ctx, cancel := context.WithCancel(context.Background())
	return &Cache{
		lookup: lookup, ctx: ctx, cancel: cancel,
		entries: map[dns.Question]entry{}, flights: map[dns.Question]*flight{},
	}
}

// Close ends the look-ups under way, whose callers get their error, and waits
// for them. Call it when nobody will call Lookup any more.
func (c *Cache) Close() {
	c.cancel()
	c.running.Wait()
}

// Lookup answers q from memory, or by one look-up for all who ask the same at
// the same time. The same are questions whose names differ in letter case only.
//
// An answer, and a "no" (an error that wraps dns.ErrNoSuchName or
// dns.ErrNoData), is remembered for its TTL; when that is zero, and after any
// other error, only those who are waiting get it, nothing is stored, and the
// next caller asks anew. From memory, the TTL is what is left of it, and the
// error is the same. Every caller gets a slice of its own, also of those who
// waited for the same look-up.
//
// The look-up runs in a goroutine that belongs to the cache (Close waits for
// it), for at most Timeout, whether anyone still waits or not: its answer will
// serve the next. When ctx ends while the caller waits, it leaves at once with
// ctx.Err(), and nobody else notices. What is in memory needs no waiting.
func (c *Cache) Lookup(ctx context.Context, q dns.Question) (dns.Answer, error) {
	//workshop:begin return dns.Answer{}, nil
	//workshop:todo Under the lock, look for an entry that has not expired, then for a flight to join.
	//workshop:todo If there is neither, start one: c.running.Go calls c.lookup, in a context made of
	//workshop:todo c.ctx and Timeout, without the lock. When it is back, store what may be stored.
	//workshop:todo Wait for the flight, or for the end of ctx. Return a copy of the addresses.
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
		// Not in the caller's context: that ends when this one caller leaves.
		c.running.Go(func() { c.fly(f, key, q) })
	}
	c.mu.Unlock()

	select {
	case <-f.done:
		return dns.Answer{Addrs: slices.Clone(f.answer.Addrs), TTL: f.answer.TTL}, f.err
	case <-ctx.Done():
		return dns.Answer{}, ctx.Err()
	}
	//workshop:end
}

// fly asks q, remembers what may be remembered, and tells all who wait.
//
//workshop:omit
func (c *Cache) fly(f *flight, key, q dns.Question) {
	ctx, cancel := context.WithTimeout(c.ctx, Timeout)
	defer cancel()
	f.answer, f.err = c.lookup(ctx, q)

	c.mu.Lock()
	defer c.mu.Unlock()
	no := errors.Is(f.err, dns.ErrNoSuchName) || errors.Is(f.err, dns.ErrNoData)
	if f.answer.TTL > 0 && (f.err == nil || no) {
		c.storeLocked(key, entry{f.answer, f.err, time.Now().Add(f.answer.TTL)})
	}
	delete(c.flights, key) // under the same lock: nobody finds neither flight nor entry
	close(f.done)
}

// keyOf is q, with its name in lower case. Only the letters of ASCII have case
// in a name (RFC 4343 §3): strings.ToLower folds others too, so that one name's
// answer would be given for another.
func keyOf(q dns.Question) dns.Question {
	name := []byte(q.Name)
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	q.Name = string(name)
	return q
}

// storeLocked remembers e under key. When the cache is full, it looks at a
// handful of entries, and the one that expires first makes room: nearly as good
// as the soonest of all, and no list to keep in order.
func (c *Cache) storeLocked(key dns.Question, e entry) {
	if _, ok := c.entries[key]; !ok && len(c.entries) >= MaxEntries {
		var victim dns.Question
		var soonest time.Time
		seen := 0
		for k, old := range c.entries { // in random order
			if seen == 0 || old.expires.Before(soonest) {
				victim, soonest = k, old.expires
			}
			if seen++; seen == 8 {
				break
			}
		}
		delete(c.entries, victim)
	}
	c.entries[key] = e
}
