package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// Stats is what a Cache has done and holds. Each request that was answered to the end
// is in one of the first six, which only grow. One that broke off is in none.
type Stats struct {
	Hits        uint64 // answered from the store, fresh
	Stale       uint64 // answered from the store, though it was not fresh: see RFC 5861
	Revalidated uint64 // answered from the store, after the next handler had confirmed it
	Misses      uint64 // answered by the next handler
	Collapsed   uint64 // answered by what another request was waiting for
	Bypassed    uint64 // of a method, or a kind, that no cache answers

	Evictions uint64 // entries that had to go, for others to have room; only grows

	Entries  int   // what is stored, notes that a URL is for one alone included
	Bytes    int64 // what that takes, as Config.MaxBytes counts it, and what is on its way
	MaxBytes int64 // Config.MaxBytes
}

// Stats returns what c has done so far, and what it holds now. It is cheap enough to
// be called each second.
func (c *Cache) Stats() Stats {
	s := Stats{
		Hits: c.hits.load(), Stale: c.stale.load(), Revalidated: c.revalidated.load(),
		Misses: c.misses.load(), Collapsed: c.collapsed.load(), Bypassed: c.bypassed.load(),
		MaxBytes: c.store.max,
	}
	c.store.mu.RLock()
	defer c.store.mu.RUnlock()
	s.Evictions, s.Entries, s.Bytes = c.store.evictions, c.store.entries, c.store.used
	return s
}

// counts are what became of requests.
type counts struct{ hits, stale, revalidated, misses, collapsed, bypassed counter }

// counter is a number that many processors count up at once: in one word, each hit
// would wait for its cache line.
type counter [8]struct {
	n atomic.Uint64
	_ [56]byte
}

func (c *counter) add() { c[rand.Uint32()%uint32(len(c))].n.Add(1) }
func (c *counter) load() (n uint64) {
	for i := range c {
		n += c[i].n.Load()
	}
	return n
}
