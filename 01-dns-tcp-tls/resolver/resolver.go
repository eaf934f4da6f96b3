// Package resolver finds the addresses of a host: it puts the exercises of
// this chapter together, and adds the loop over servers.
//
//	Lookup ── dnscache ── for each server, round after round:
//	                      query ─ exchange ─ message ─ answer
//
// It is a stub resolver: it asks servers that do the work, as a phone or a
// laptop does, and trusts what they say. It reads no hosts file and has no
// list of domains to search. Nor does it remember which server was slow: while
// the first one is down, each new name waits for its timeout.
//
// Source: RFC 1034 §5.3.1; RFC 5452 §9.2 (a new ID and a new port each time).
package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/message"
	"clicktocode.example/01-dns-tcp-tls/solution/answer"
	"clicktocode.example/01-dns-tcp-tls/solution/dnscache"
	"clicktocode.example/01-dns-tcp-tls/solution/exchange"
	"clicktocode.example/01-dns-tcp-tls/solution/query"
)

// Config says whom to ask.
type Config struct {
	// Servers are asked in this order, until one answers. At least one.
	Servers []netip.AddrPort
	// Attempts is how often each server may be asked about a question. Zero
	// means twice: datagrams get lost.
	Attempts int
	// Timeout is how long one attempt may take. Zero means exchange.Timeout,
	// which is the most there is. All attempts together have dnscache.Timeout.
	Timeout time.Duration
}

// Resolver finds addresses, and remembers them. It may be used by many at
// once. Make it with New; whoever does so calls Close.
type Resolver struct {
	servers  []netip.AddrPort
	attempts int
	timeout  time.Duration
	cache    *dnscache.Cache
}

// New returns a Resolver that asks as config says. The error names all that is
// wrong with config.
func New(config Config) (*Resolver, error) {
	var errs []error
	if len(config.Servers) == 0 {
		errs = append(errs, errors.New("resolver: no servers"))
	}
	for i, server := range config.Servers {
		if !server.IsValid() || server.Port() == 0 {
			errs = append(errs, fmt.Errorf("resolver: server %d: %s is no address with a port", i, server))
		}
	}
	if config.Attempts < 0 {
		errs = append(errs, fmt.Errorf("resolver: %d attempts", config.Attempts))
	}
	if config.Timeout < 0 || config.Timeout > exchange.Timeout {
		errs = append(errs, fmt.Errorf("resolver: timeout of %s: want 0 to %s", config.Timeout, exchange.Timeout))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	r := &Resolver{servers: slices.Clone(config.Servers), attempts: config.Attempts, timeout: config.Timeout}
	if r.attempts == 0 {
		r.attempts = 2
	}
	if r.timeout == 0 {
		r.timeout = exchange.Timeout
	}
	r.cache = dnscache.New(r.ask)
	return r, nil
}

// Close ends the look-ups under way and waits for them. Call it when nobody
// will call Lookup any more.
func (r *Resolver) Close() { r.cache.Close() }

// Lookup returns the addresses of host, at least one unless there is an error:
// IPv4 addresses first, then IPv6, each in the server's order. The slice is the
// caller's. A host that is an IP address is its own answer; any other is an
// absolute name, with or without its trailing dot.
//
// IPv4 and IPv6 are two questions, asked side by side. What one of them finds
// is enough. Else the error wraps dns.ErrNoSuchName; dns.ErrNoData, when the
// name has addresses of neither kind; dns.ErrMalformed, when host is no name;
// ctx.Err(), when ctx ended; or what kept the servers from answering, attempt by
// attempt (dns.ErrServerFailure, a net.Error, …).
func (r *Resolver) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if host != "" && !strings.HasSuffix(host, ".") {
		host += "."
	}
	type result struct {
		answer dns.Answer
		err    error
	}
	six := make(chan result, 1)
	go func() { // ends when the cache answers or ctx ends, and is waited for below
		a, err := r.cache.Lookup(ctx, dns.Question{Name: host, Type: dns.TypeAAAA, Class: dns.ClassINET})
		six <- result{a, err}
	}()
	a, err := r.cache.Lookup(ctx, dns.Question{Name: host, Type: dns.TypeA, Class: dns.ClassINET})
	v4, v6 := result{a, err}, <-six

	if addrs := slices.Concat(v4.answer.Addrs, v6.answer.Addrs); len(addrs) > 0 {
		return addrs, nil
	}
	// "No such name" counts for both types. "No such record" of one does not
	// when the other is not known.
	for _, r := range []result{v4, v6} {
		if errors.Is(r.err, dns.ErrNoSuchName) {
			return nil, r.err
		}
	}
	if errors.Is(v4.err, dns.ErrNoData) {
		return nil, v6.err
	}
	return nil, v4.err
}

// ask asks one server after the other, until one answers: with addresses, or
// with a "no". It is what the cache calls.
func (r *Resolver) ask(ctx context.Context, q dns.Question) (dns.Answer, error) {
	var errs []error
	for range r.attempts {
		for _, server := range r.servers {
			msg, err := query.Build(newID(), q)
			if err != nil {
				return dns.Answer{}, err // no server can help
			}
			found, err := r.attempt(ctx, server, q, msg)
			if err == nil || errors.Is(err, dns.ErrNoSuchName) || errors.Is(err, dns.ErrNoData) {
				return found, err
			}
			if ctx.Err() != nil {
				return dns.Answer{}, err
			}
			errs = append(errs, err)
		}
	}
	return dns.Answer{}, fmt.Errorf("resolver: %s: no server answered: %w", q, errors.Join(errs...))
}

// attempt asks one server once.
func (r *Resolver) attempt(ctx context.Context, server netip.AddrPort, q dns.Question, msg []byte) (dns.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	reply, err := exchange.Exchange(ctx, server, msg)
	if err != nil {
		return dns.Answer{}, err
	}
	m, err := message.Parse(reply)
	if err != nil {
		return dns.Answer{}, fmt.Errorf("resolver: %s: %w", server, err)
	}
	found, err := answer.Addresses(q, m)
	if err != nil {
		return found, fmt.Errorf("resolver: %s: %w", server, err)
	}
	return found, nil
}

// newID is one that nobody can guess: who can, can answer in the server's
// place (RFC 5452 §4.3).
func newID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}
