// Package upstream makes the transport that carries requests to the backends:
// net/http's, with a pool and timeouts that fit a load balancer.
//
// Go's defaults fit a program that asks many servers for a little each. A load
// balancer asks few servers for very much: it meets the same backend a thousand
// times a second, and each wait of its own becomes a customer's. In the story,
// this is the waiter's way to the kitchens: doors that stay open while there is
// work, and a waiter who comes back when nobody answers.
//
// Source: net/http's Transport; RFC 9112 §9.3 (persistence), RFC 9110 §10.1.1
// (100-continue); golang/go #6785 and #13801, on the pool.
package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Config says how long each step of a request to a backend may take, and how
// many connections are kept. A field that is zero or less has its default.
//
// No limit holds for a request as a whole: an answer may come in pieces for
// hours. Whoever wants one puts a deadline into the request's context.
type Config struct {
	// DialTimeout ends an attempt to connect, the name's look-up included. 3 s:
	// the first packet, if lost, is sent again after 1 s (RFC 6298 §2.1), so
	// less than that turns each loss into a failure.
	DialTimeout time.Duration

	// TLSTimeout ends a TLS handshake. 3 s.
	TLSTimeout time.Duration

	// HeaderTimeout ends the wait for the answer's header. It begins when the
	// request was sent, body included. 30 s.
	HeaderTimeout time.Duration

	// ContinueTimeout is how long a request that says "Expect: 100-continue"
	// keeps its body back. The body is sent when the backend says 100, or when
	// this time is over, and not at all after a final answer. 1 s.
	ContinueTimeout time.Duration

	// IdleTimeout closes a connection that carried nothing for so long. It is to
	// be shorter than the backends' own: otherwise now and then a request meets
	// a connection that its backend is about to close. 30 s.
	IdleTimeout time.Duration

	// MaxIdle is how many connections without a request are kept for each
	// backend, however many backends there are. 256: as many as there are
	// callers at once on a busy day.
	MaxIdle int

	// TLS is for backends whose URL says https. It is not changed. nil trusts
	// the system's authorities.
	TLS *tls.Config

	// Dial connects to a backend, at "host:port". It need not know DialTimeout:
	// its context is done then, and holds the values of the request's (what
	// traces a request is one of them). nil is a net.Dialer's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// New returns the transport that c describes. It is safe for use by many
// goroutines at once. Whoever has no more use for it calls its
// CloseIdleConnections.
//
// It goes to the backend itself: the environment's HTTP_PROXY is meant for
// other programs. Where a backend offers HTTP/2 in its TLS handshake, it is
// spoken. Requests and answers pass as they are: Accept-Encoding is the
// client's to say, and a compressed answer stays compressed.
func New(c Config) *http.Transport {
	c = c.withDefaults()
	// TODO(upstream): Return a transport (&http.Transport{…}) that does what the comments above say.
	// Its fields' documentation, `go doc net/http.Transport`, tells which belong to what,
	// and what they mean when they are left out. c has all of its defaults filled in.
	return nil
}

// withDefaults is c with its defaults filled in.
func (c Config) withDefaults() Config {
	c.DialTimeout = positive(c.DialTimeout, 3*time.Second)
	c.TLSTimeout = positive(c.TLSTimeout, 3*time.Second)
	c.HeaderTimeout = positive(c.HeaderTimeout, 30*time.Second)
	c.ContinueTimeout = positive(c.ContinueTimeout, time.Second)
	c.IdleTimeout = positive(c.IdleTimeout, 30*time.Second)
	c.MaxIdle = positive(c.MaxIdle, 256)
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return c
}

// positive is v, or standard where v is zero or less.
func positive[T ~int | ~int64](v, standard T) T {
	if v > 0 {
		return v
	}
	return standard
}
