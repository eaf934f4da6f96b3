// Package handoff gives connections that were accepted elsewhere to a
// net/http.Server. An http.Server would rather accept for itself; here that is
// the business of package accept, with its limit, and of package graceful,
// which counts who is still there:
//
//	web := handoff.New(&http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}, config)
//	defer web.Close()
//	server := graceful.New(web.ServeConn)
//	go server.Serve(ln, 1000, 10*time.Second)
//	…
//	err := server.Shutdown(ctx)
//
// In between stands TLS: a connection takes the path accept, graceful,
// tls.Server, http.Server. In the story, a waiter leads the guests from the
// door to their table.
//
// Source: net/http's Server.Serve, for what it does with a *tls.Conn; RFC 7301
// (ALPN), by which the two sides agree on HTTP/2.
package handoff

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves HTTP over TLS on connections that it is handed. Make one with New.
type Server struct {
	// Wrap, unless nil, returns what the http.Server is to read and write in place
	// of conn, where HTTP/1.1 is spoken: a guard over what comes out of TLS, for
	// one. (For HTTP/2, http.Server wants the *tls.Conn itself.) For Request.TLS
	// to be set, the result has conn's ConnectionState; to close it is to close
	// conn. Set Wrap before connections come.
	Wrap func(conn *tls.Conn) net.Conn

	http   *http.Server
	config *tls.Config
	queue  queue

	// winding is done once the http.Server is to let go of its connections,
	// dropping once it need not wait for them any more.
	winding, dropping context.Context
	windUp, drop      context.CancelFunc
	running           sync.WaitGroup // the goroutines of New
}

// New starts server on connections that come by ServeConn, encrypted as config
// says. HTTP/2 is spoken where config's NextProtos offer "h2" and the client
// wants it. Neither argument may be nil, or change any more. Set the server's
// ReadHeaderTimeout and IdleTimeout: without them a client may take for ever.
// Its Addr and TLSConfig are not used. Call Close in the end.
func New(server *http.Server, config *tls.Config) *Server {
	s := &Server{http: server, config: config, queue: make(queue)}
	s.winding, s.windUp = context.WithCancel(context.Background())
	s.dropping, s.drop = context.WithCancel(context.Background())
	s.running.Go(func() {
		_ = s.http.Serve(listener{s.queue, s.winding}) // its error only says that it winds up
	})
	s.running.Go(func() {
		<-s.winding.Done()
		_ = s.http.Shutdown(s.dropping)
	})
	return s
}

// ServeConn serves the requests that arrive on conn, and returns when conn is
// closed, by either side. It is a handler for graceful.New, and may be called
// by many at once.
//
// A deadline that conn came with holds for the TLS handshake. From then on the
// http.Server's timeouts count, and nothing else.
//
// When ctx is done the whole server winds up: idle connections are closed,
// requests that are running are answered, and then their connections are
// closed, too. The requests' own contexts are not touched. What may be on its
// way is waited for: a second after telling an HTTP/2 client to leave (GOAWAY,
// RFC 9113 §6.8), and 5 seconds on an HTTP/1.1 connection without any request
// so far.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, s.windUp)
	defer stop()

	// The notice goes below TLS: http.Server speaks HTTP/2 only on what is a
	// *tls.Conn itself, so that cannot be wrapped. And a handler that hijacks
	// the connection (WebSocket) closes this one, too, when it is through.
	noticed := &noticed{Conn: conn, closed: make(chan struct{})}
	defer noticed.Close()
	secure := tls.Server(noticed, s.config)

	// Here, because conn's own deadline still holds. If it fails, http.Server
	// is told the same error, and logs it or answers as it always does.
	err := secure.HandshakeContext(s.winding)
	if err == io.EOF {
		return // it left without a word, as health checks do: nothing to log
	}
	_ = conn.SetDeadline(time.Time{})
	web := net.Conn(secure)
	if s.Wrap != nil && err == nil && secure.ConnectionState().NegotiatedProtocol != "h2" {
		web = s.Wrap(secure)
	}

	select {
	case s.queue <- web:
		<-noticed.closed
	case <-s.winding.Done():
	}
}

// Close winds up, drops the connections that are left, and waits for the
// goroutines that New started (not for handlers: ServeConn does). After a
// graceful.Server's Shutdown there is nothing left to drop.
func (s *Server) Close() error {
	s.windUp()
	s.drop()
	err := s.http.Close()
	s.running.Wait()
	return err
}

// queue takes connections from ServeConn to http.Server. It is unbuffered: a
// connection left in it would belong to nobody.
type queue chan net.Conn

// listener is the net.Listener of an http.Server that is handed its connections.
type listener struct {
	queue   queue
	winding context.Context
}

func (l listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.winding.Done():
		return nil, net.ErrClosed
	}
}

func (l listener) Close() error   { return nil }
func (l listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "handoff" }
func (addr) String() string  { return "handoff" }

// noticed is a connection whose end is noticed.
type noticed struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *noticed) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}
