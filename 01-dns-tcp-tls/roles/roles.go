// Package roles is what chapter 1 hands on to the chapters behind it: the parts
// of a stack that every chapter runs. Each is the body of a stage.Run.
//
// In the story, they are the sign that says where the restaurant is, and its door.
package roles

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/handoff"
	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

// Bounds on what one client, or all together, may take of a server.
const (
	maxConns      = 1000
	handshakeTime = 10 * time.Second // to the end of the TLS handshake
	headerTime    = 5 * time.Second
	idleTime      = time.Minute
	headerSize    = 64 << 10 // octets; net/http's own bound is a megabyte
)

// ServeDNS answers for the zone at addr, by UDP and TCP, until ctx is done.
func ServeDNS(ctx context.Context, s *stage.Stage, addr string, z *zone.Zone) error {
	server, err := zone.Listen(addr, z, func(q zone.Query) {
		s.Request(q.Question+" → "+q.RCode, 0, map[string]string{"client": q.Client.String(), "network": q.Network, "answers": fmt.Sprint(q.Answers)})
	})
	if err != nil {
		return err
	}
	s.Ready(server.Addr())
	<-ctx.Done()
	return server.Close()
}

// ServeHTTPS serves h at addr until ctx is done, then lets running requests
// finish. It reports no requests: wrap what is worth it in s.Observe. A
// connection's way leads from the listener over accept and graceful to TLS, with
// the authority's certificate, and to net/http, which speaks HTTP/2 or HTTP/1.1 as
// the client likes.
func ServeHTTPS(ctx context.Context, s *stage.Stage, addr string, h http.Handler) error {
	return HTTPS{Handler: h}.Serve(ctx, s, addr)
}

// HTTPS is ServeHTTPS for a server that does not face its clients alone.
type HTTPS struct {
	Handler http.Handler
	// Listen, unless nil, returns the listener to accept from in place of ln: one
	// that reads PROXY headers, say. To close it is to close ln.
	Listen func(ln net.Listener) (net.Listener, error)
	// Wrap is handoff.Server's. It may be nil.
	Wrap func(conn *tls.Conn) net.Conn
}

// Serve is what ServeHTTPS does.
func (h HTTPS) Serve(ctx context.Context, s *stage.Stage, addr string) error {
	keys, err := authority.Open(authority.Config{Log: s.Log})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	defer ln.Close()
	accepting := ln
	if h.Listen != nil {
		if accepting, err = h.Listen(ln); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	web := handoff.New(newServer(s, h.Handler), tlsserver.Config(keys.Current))
	web.Wrap = h.Wrap
	defer web.Close()
	server := graceful.New(web.ServeConn)
	s.Ready(ln.Addr().String())
	return s.Until(ctx, func() error { return server.Serve(accepting, maxConns, handshakeTime) }, server.Shutdown)
}

// ServeHTTP serves h at addr, in the clear, until ctx is done, then lets running
// requests finish. It is for what stands behind the door, on loopback. As
// ServeHTTPS, it reports no requests.
func ServeHTTP(ctx context.Context, s *stage.Stage, addr string, h http.Handler) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	server := newServer(s, h)
	s.Ready(ln.Addr().String())
	return s.Until(ctx, func() error {
		if err := server.Serve(ln); err != http.ErrServerClosed {
			return err
		}
		return nil
	}, server.Shutdown)
}

// newServer has no deadline for a whole answer: a stream may take as long as it likes.
func newServer(s *stage.Stage, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerSize,
	}
}
