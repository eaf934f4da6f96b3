// Package ratelimit lets each client in as often as was agreed, and not more.
//
// A service has so much time, and one client that asks in a loop takes it from
// all others. So each has a token bucket: it holds up to Burst tokens, a request
// takes one, and Rate of them come back in a second. A page that loads six things
// at once gets its six; a loop gets Rate. In the story, the bouncer gives every
// guest a handful of tickets, and a new one now and then. Who has none waits
// outside, and is told for how long.
//
// What a client is, is the hard part. Here it is an address, because that is
// known before anybody has said who they are: a whole office behind one address
// shares a bucket, and who has many addresses has many buckets. Where clients
// are known by name, limit by name as well.
//
// Each process counts for itself. With three replicas behind a balancer, a
// client gets up to three times the rate. And a bucket that was forgotten begins
// full, see package clients: this costs something only if more than MaxClients
// others come within the Burst/Rate seconds that a bucket takes to fill.
//
// Left out: the fields RateLimit and RateLimit-Policy, which are a draft
// (draft-ietf-httpapi-ratelimit-headers), and a queue: who is refused may come
// again, but does not wait in here.
//
// Source: RFC 6585 §4 (429), RFC 9110 §10.2.3 (Retry-After), RFC 6177 (IPv6
// networks of end sites), RFC 4291 §2.5.5.2 (IPv4-mapped addresses).
package ratelimit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/clients"
)

// Config is what a bouncer of this kind works with.
type Config struct {
	// Rate is how many requests a second a client may make for ever: 10, 0.5,
	// rate.Every(time.Minute). It must be above 0. rate.Inf means no limit.
	Rate rate.Limit
	// Burst is how many a client who has been quiet may make at once. It must be
	// at least 1, or nobody could ever enter.
	Burst int
	// MaxClients is how many clients are remembered. Each takes up to 400 octets.
	// 0 means 65,536; it must not be negative.
	MaxClients int
	// Client finds the address of who made the request. What it returns counts as
	// Key says. nil means c.ClientIP(), which is right if, and only if, the engine's
	// trusted proxies are set: gin trusts everybody unless it is told otherwise,
	// and then a client that sends X-Forwarded-For chooses its own address.
	Client func(c *gin.Context) netip.Addr
	// Now is the clock, for many goroutines at once. nil means time.Now.
	Now func() time.Time
}

// New returns a handler that takes a token from the bucket of the request's
// client. If there is none, the request is refused by a problem with status 429,
// and its Retry-After says after how many whole seconds, rounded up, there will
// be one. No handler behind is called then, and the refusal itself costs the
// client nothing: it does not put off the next token. No request waits in here for
// another, neither for its handler nor until its answer is sent.
//
// All requests whose client has no address share one bucket: those over a Unix
// socket whose proxy names no client, for instance, and those from a link-local
// address with a zone, which gin cannot read.
//
// err names all faults of c at once.
func New(c Config) (gin.HandlerFunc, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	l := &limiter{client: c.Client, now: c.Now}
	if l.client == nil {
		l.client = clientIP
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.buckets = clients.New(cmp.Or(c.MaxClients, 1<<16), func() *rate.Limiter {
		return rate.NewLimiter(c.Rate, c.Burst)
	})
	return l.handle, nil
}

// limiter is a Config at work.
type limiter struct {
	client  func(*gin.Context) netip.Addr
	now     func() time.Time
	buckets *clients.Store[*rate.Limiter] // of each client one, which begins full
}

// handle is the handler that New returns, and does what is said there.
func (l *limiter) handle(c *gin.Context) {
	// TODO(ratelimit): In l.buckets.With(Key(l.client(c)), …), take a token at the time l.now(), or find out
	// how long it takes until there is one. Whoever need not wait enters: return. All
	// others are refused, outside of With: Retry-After first (c.Header), in whole
	// seconds and rounded up, then problem.Abort. A refusal takes no token.
	// The reference imports, besides what stands above: "clicktocode.example/04-middleware/problem", "net/http", "strconv".
}

// Key is the client that an address counts for:
//
//   - an IPv4 address alone (/32)
//   - of an IPv6 address the first 64 bits (/64): that much is the smallest network
//     that a customer gets, who can take a new address of it for every request
//   - an IPv4 address written as IPv6 (::ffff:192.0.2.1), as one over a socket
//     for both looks, as the IPv4 address that it is
//   - no address (the zero Addr) as the zero Prefix
//
// The prefix is masked, and has no zone.
func Key(addr netip.Addr) netip.Prefix {
	// TODO(ratelimit): Unmap the address, and return its Prefix: of 32 bits or of 64.
	return netip.Prefix{}
}

// clientIP is the address as gin knows it, or the zero Addr if it knows none.
func clientIP(c *gin.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.ClientIP())
	return addr
}

func (c Config) check() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("ratelimit: "+format, args...))
	}
	if r := float64(c.Rate); !(r > 0) || math.IsInf(r, 0) {
		fault("Rate is %v requests a second, must be above 0; for no limit, rate.Inf", r)
	}
	if c.Burst < 1 {
		fault("Burst is %d, must be at least 1", c.Burst)
	}
	if c.MaxClients < 0 {
		fault("MaxClients is %d, must not be negative", c.MaxClients)
	}
	return errors.Join(faults...)
}
