// Package graceful ends a server without hanging up on anyone: it takes no
// new connections, lets the running ones finish what they are at, and cuts
// those that do not come to an end.
//
// Servers are stopped all the time, mostly to start a newer version. Whoever
// stops them sends SIGTERM, waits for some seconds (Kubernetes for 30), and
// then kills. What happens in between is what this package is about. In the
// story, it is closing time: the door is locked, guests eat up, and at some
// point the lights go out.
//
// Source: RFC 9293 §3.6 (closing a connection); net/http's Server.Shutdown.
package graceful

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"clicktocode.example/01-dns-tcp-tls/solution/accept"
)

// Server serves the connections of one listener until it is shut down. All of
// its methods may be called at once. Make one with New.
type Server struct {
	handle func(context.Context, net.Conn)

	// ctx is what handlers are given, and windUp makes it done.
	ctx    context.Context
	windUp context.CancelFunc

	// done is closed when Serve has returned, which it does once the listener
	// is closed and all handlers have returned.
	done chan struct{}

	mu       sync.Mutex            // guards what follows
	shutDown bool                  // Shutdown was called: connections that arrive later are closed
	ln       net.Listener          // nil until Serve is called
	conns    map[net.Conn]struct{} // those whose handler is running
}

// New returns a server that calls handle for each connection, in a goroutine of
// its own, and closes the connection once handle has returned.
//
// The context that handle gets is done when the server is shut down. It says:
// finish the request you are at, take no further one, and return. It does not
// say to drop what runs, so it is no context for the request's own work. A
// handler that takes no notice of it is cut, at the end of Shutdown's context:
// its connection is closed, reads and writes fail with net.ErrClosed.
func New(handle func(ctx context.Context, conn net.Conn)) *Server {
	ctx, windUp := context.WithCancel(context.Background())
	return &Server{
		handle: handle,
		ctx:    ctx,
		windUp: windUp,
		done:   make(chan struct{}),
		conns:  map[net.Conn]struct{}{},
	}
}

// Serve takes connections from ln as accept.Serve does, limit at once and with
// a deadline each, and returns nil when the server was shut down and all
// handlers have returned. It closes ln when the server is shut down, before or
// during the call. Call it once; a second call is an error.
func (s *Server) Serve(ln net.Listener, limit int, timeout time.Duration) error {
	s.mu.Lock()
	if s.ln != nil {
		s.mu.Unlock()
		return errors.New("graceful: Serve called a second time")
	}
	if s.shutDown {
		s.mu.Unlock()
		return ln.Close()
	}
	s.ln = ln
	s.mu.Unlock()
	defer close(s.done)
	return accept.Serve(ln, limit, timeout, s.serveConn)
}

// serveConn has conn among s.conns while its handler is running.
func (s *Server) serveConn(conn net.Conn) {
	s.mu.Lock()
	if s.shutDown {
		s.mu.Unlock()
		return // accepted in the very moment of Shutdown: as if it had come too late
	}
	s.conns[conn] = struct{}{}
	s.mu.Unlock()

	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	s.handle(s.ctx, conn)
}

// Shutdown ends the server in four steps. It closes the listener, so that new
// connections are refused: the client learns at once that it must go
// elsewhere. It makes the handlers' context done. It waits for the handlers,
// and returns nil once all have returned. If ctx is done before that, it closes
// the connections that are left, and returns ctx's error, wrapped; it does not
// wait for their handlers to notice, Serve does.
//
// With a ctx that is done already, connections are cut at once.
//
// Before Serve, Shutdown returns nil at once; a Serve that comes later closes
// its listener, and returns nil. A second Shutdown, during the first or later,
// waits for the same handlers, and cuts them at the end of its own ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	//workshop:begin return nil
	//workshop:todo Note that the server is shut down, close the listener (there is none before
	//workshop:todo Serve), call windUp. Then wait: for done, or for the end of ctx, whichever is
	//workshop:todo first. At the end of ctx, close what is left in conns.
	//workshop:todo Hold mu whenever you look at what it guards, and at no time while waiting.
	s.mu.Lock()
	s.shutDown = true
	ln := s.ln
	s.mu.Unlock() // before the wait: a handler that ends needs mu to get out of conns
	if ln == nil {
		return nil // no Serve will ever close done
	}
	_ = ln.Close() // before windUp: a client that is sent away must not come in again here
	s.windUp()

	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		// Its handler waits for this client, and whoever stops us for no one:
		// cut now, the handler can still clean up before the process is killed.
		_ = conn.Close()
	}
	return fmt.Errorf("graceful: cut %d connections: %w", len(s.conns), ctx.Err())
	//workshop:end
}
