// Package clients keeps one value for each client, a token bucket for instance,
// in memory that is bounded whatever addresses arrive.
//
// Who can invent addresses, and with IPv6 everybody can, would otherwise fill
// the memory with one entry for each. So there is a fixed maximum, and whoever
// has not been seen for the longest time is forgotten for one who is new (LRU:
// least recently used).
//
// The price is that an attacker with more addresses than the maximum can make
// the store forget: honest clients, and itself. What is forgotten begins anew.
// For a token bucket this means a full one, so nobody is locked out, and an
// attacker gains nothing but the bursts of its many addresses, which it had
// anyway. Do not keep here what must not be forgotten: a ban, a debt, a count of
// wrong passwords.
package clients

import (
	"net/netip"
	"sync"
)

// Store holds a value of type V for each client. Its methods may be called by
// many goroutines at once, and take constant time. Make one with New.
type Store[V any] struct {
	max  int // at least 1
	make func() V

	mu      sync.Mutex // guards what follows, and all the values
	entries map[netip.Prefix]*entry[V]
	ring    entry[V] // begins and ends the list: next was used last, prev is forgotten first
}

// entry is a client in the list.
type entry[V any] struct {
	prev, next *entry[V]
	client     netip.Prefix
	value      V
}

// New returns an empty store for at most max clients; below 1, it counts as 1.
// make makes the value of a client who is not known: it must be quick, and must
// not call the store.
//
// A client takes up to 250 octets, and what V needs. They are taken as clients
// arrive, and never given back.
func New[V any](max int, make func() V) *Store[V] {
	if max < 1 {
		max = 1
	}
	s := &Store[V]{max: max, make: make, entries: map[netip.Prefix]*entry[V]{}}
	s.ring.prev, s.ring.next = &s.ring, &s.ring
	return s
}

// With calls use with client's value, which is made if the client is not known,
// or not any more. A client is a network and not an address, since whoever has
// one IPv6 address has billions of them. Prefixes that differ are clients that
// differ: mask them. The zero Prefix is a client like others.
//
// Only one use runs at a time, of all clients. So use may change the value
// without a lock, and a value that is in use is never forgotten, and replaced by
// another, under the hands of its user. But use must be quick: no I/O, no
// waiting, no next handler. It must not keep a pointer to what is in the value,
// and must not call the store.
func (s *Store[V]) With(client netip.Prefix, use func(V)) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when use panics: otherwise the whole service would stop here
	use(s.valueLocked(client))
}

// Len is how many clients the store holds: never more than the maximum.
func (s *Store[V]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

func (s *Store[V]) valueLocked(client netip.Prefix) V {
	e, known := s.entries[client]
	switch {
	case known:
		e.unlink()
	case len(s.entries) < s.max:
		e = &entry[V]{client: client, value: s.make()}
		s.entries[client] = e
	default:
		value := s.make() // first: if it panics, nothing has changed
		e = s.ring.prev
		e.unlink()
		delete(s.entries, e.client)
		e.client, e.value = client, value // its memory is used again, and so a flood makes no garbage
		s.entries[client] = e
	}
	e.prev, e.next = &s.ring, s.ring.next
	e.prev.next, e.next.prev = e, e
	return e.value
}

func (e *entry[V]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
