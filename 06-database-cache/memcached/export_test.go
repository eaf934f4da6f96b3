package memcached

import (
	"errors"
	"fmt"
	"net"
)

// MaxLine bounds a session's buffer.
const MaxLine = maxLine

// Session answers to what comes from conn, and returns how large its buffer got.
func (s *Server) Session(conn net.Conn) (buffer int) {
	session := newSession(s, conn)
	session.serve()
	return cap(session.buf)
}

// SetCAS sets the number that was given last.
func (s *Server) SetCAS(n uint64) {
	s.cache.lock()
	defer s.cache.mu.Unlock()
	s.cache.cas = n
}

// Check compares the table, the ring and the sums with each other.
func (s *Server) Check() error {
	c := s.cache
	c.lock()
	defer c.mu.Unlock()
	var n int
	var bytes int64
	for it := c.ring.next; it != &c.ring; it = it.next {
		if it.next.prev != it || c.items[it.key] != it {
			return fmt.Errorf("the ring is broken at %q", it.key)
		}
		n++
		bytes += it.size()
	}
	switch {
	case n != len(c.items):
		return fmt.Errorf("%d items in the ring, %d in the table", n, len(c.items))
	case bytes != c.bytes:
		return fmt.Errorf("the items come to %d octets, and are said to come to %d", bytes, c.bytes)
	case bytes > c.maxBytes:
		return errors.New("more octets than there may be")
	}
	return nil
}

// Set and Get are the cache's, without a session.
func (s *Server) Set(key, value []byte) {
	s.cache.store(set, key, 0, 0, value, 0, nil)
}

func (s *Server) Get(key []byte) bool {
	_, ok := s.cache.get(key, nil)
	return ok
}
