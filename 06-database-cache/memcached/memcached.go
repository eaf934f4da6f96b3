package memcached

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Version is what the server says of itself: a memcached without meta commands,
// and no memcached.
const Version = "1.5.22-embedded"

// ErrServerClosed is what Serve returns after Close.
var ErrServerClosed = errors.New("memcached: server closed")

// closeGrace is how long Close waits for answers on their way.
const closeGrace = time.Second

// Config is how large a server may grow, and how slow its clients may be.
type Config struct {
	// MaxBytes is how much the items may come to, see [Overhead]. Zero means 64 MiB.
	MaxBytes int64
	// MaxItemSize is how large an item may be: key, value and 59 octets, with flags 63,
	// which is memcached's own sum. Zero means 1 MiB. It is at most MaxBytes.
	MaxItemSize int
	// MaxConns is how many clients there may be at once. One more gets an error line,
	// and its connection is closed. Zero means 1024.
	MaxConns int

	// IdleTimeout is how long a client may be silent between two commands. Zero means
	// an hour: clients keep connections, and an idle one costs little.
	IdleTimeout time.Duration
	// RequestTimeout is how long a command may take to arrive, its data included.
	// Zero means 10 seconds.
	RequestTimeout time.Duration
	// WriteTimeout is how long a client may take to make room for more of an answer.
	// Zero means 10 seconds.
	WriteTimeout time.Duration

	// Log gets what goes wrong with accepting connections. Nil means nowhere.
	Log *slog.Logger
}

// Server is a cache that clients of memcached can use. Its methods may be called
// at once.
type Server struct {
	c     Config
	cache *cache

	done                    chan struct{} // closed by Close
	bytesRead, bytesWritten atomic.Uint64

	mu              sync.Mutex
	listeners       map[net.Listener]bool // guarded by mu, as all below
	conns           map[net.Conn]bool
	total, rejected uint64
	running         sync.WaitGroup // Serve and the sessions; added to under mu, before done is closed
}

// New returns a server without items. The error names all that is wrong with c.
func New(c Config) (*Server, error) {
	var faults []error
	setDefault(&c.MaxBytes, 64<<20, "MaxBytes", &faults)
	setDefault(&c.MaxItemSize, 1<<20, "MaxItemSize", &faults)
	setDefault(&c.MaxConns, 1024, "MaxConns", &faults)
	setDefault(&c.IdleTimeout, time.Hour, "IdleTimeout", &faults)
	setDefault(&c.RequestTimeout, 10*time.Second, "RequestTimeout", &faults)
	setDefault(&c.WriteTimeout, 10*time.Second, "WriteTimeout", &faults)
	if int64(c.MaxItemSize)+Overhead > c.MaxBytes { // an item that fits would push itself out
		faults = append(faults, fmt.Errorf("memcached: MaxItemSize is %d, and with %d octets of overhead more than MaxBytes, %d", c.MaxItemSize, Overhead, c.MaxBytes))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Server{
		c: c, cache: newCache(c.MaxBytes), done: make(chan struct{}),
		listeners: make(map[net.Listener]bool), conns: make(map[net.Conn]bool),
	}, nil
}

func setDefault[T int | int64 | time.Duration](field *T, value T, name string, faults *[]error) {
	switch {
	case *field == 0:
		*field = value
	case *field < 0:
		*faults = append(*faults, fmt.Errorf("memcached: %s is %v, and cannot be negative", name, *field))
	}
}

// Serve answers to those who connect to ln, until Close, and returns
// ErrServerClosed then. It closes ln. There may be several at once: they share
// the items.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.begin(func() { s.listeners[ln] = true }) {
		return ErrServerClosed
	}
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, ln)
	}()
	for wait := time.Duration(0); ; {
		conn, err := ln.Accept()
		if err == nil {
			wait = 0
			s.take(conn)
			continue
		}
		if !s.isClosed() && errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("memcached: the listener was closed under the server: %w", err)
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second) // out of descriptors, most likely: they come back
		select {
		case <-s.done:
			return ErrServerClosed
		case <-time.After(wait):
			s.c.Log.Warn("memcached: accept", "error", err)
		}
	}
}

// begin counts one more that Close waits for, and calls note with the lock held.
// It returns false after Close.
func (s *Server) begin(note func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return false
	}
	s.running.Add(1)
	note()
	return true
}

func (s *Server) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// take starts a session on conn, if there is room for one more.
func (s *Server) take(conn net.Conn) {
	full := false
	begun := s.begin(func() {
		s.total++
		if full = len(s.conns) >= s.c.MaxConns; full {
			s.rejected++
			return
		}
		s.conns[conn] = true
	})
	if !begun {
		_ = conn.Close()
		return
	}
	if full {
		defer s.running.Done()
		_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond)) // the next client waits behind this
		_, _ = conn.Write([]byte("ERROR Too many open connections\r\n"))
		_ = conn.Close()
		return
	}
	go func() {
		defer s.running.Done()
		newSession(s, conn).serve()
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	}()
}

func (s *Server) connections() (open int, total, rejected uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.total, s.rejected
}

// Close takes no more clients, answers to the commands that have arrived, cuts the
// connections, and returns when everything that Serve started has ended. A client
// that does not take its answer is cut after a second. More calls wait as well.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.isClosed() {
		close(s.done)
	}
	for ln := range s.listeners {
		_ = ln.Close()
	}
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	cut := time.AfterFunc(closeGrace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for conn := range s.conns {
			_ = conn.Close()
		}
	})
	defer cut.Stop()
	s.running.Wait()
	return nil
}
