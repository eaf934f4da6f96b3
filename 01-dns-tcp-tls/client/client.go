// Package client is the client behind `click`: it makes requests over HTTPS
// and says, phase by phase, where the time went.
//
// A request takes the path that this chapter is about. The chapter's own
// resolver asks the chapter's own DNS server for the address; TCP connects; TLS
// checks the server against the workshop's own authority, and resumes an
// earlier session where it can; HTTP/2 or HTTP/1.1, whichever ALPN agreed on,
// carries the request.
//
// In the story, this is the customer, with a stopwatch.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/01-dns-tcp-tls/solution/timing"
	"clicktocode.example/01-dns-tcp-tls/stage"
)

// SessionsFile is the file in the folder that TLS sessions are kept in.
const SessionsFile = "tls-sessions.json"

const (
	dialWithin = 3 * time.Second // for one address
	tlsWithin  = 3 * time.Second
	maxShown   = 4 << 10 // octets of a body that are shown
	maxRead    = 1 << 20 // and that are read: to the end, so that the connection can be used again
)

// Config says what a Client needs to know of its surroundings.
type Config struct {
	DNS     netip.AddrPort // the DNS server to ask
	Dir     string         // the folder with the authority's ca.pem, where TLS sessions are kept too; empty is stage.Dir
	Timeout time.Duration  // of a whole request; zero is 10 seconds
}

// Client makes requests, one after the other or side by side, and keeps
// connections open between them. Make it with New; whoever does so calls Close.
type Client struct {
	cfg       Config
	resolver  *resolver.Resolver
	sessions  *sessions
	transport *http.Transport

	ctx   context.Context // done when the client is closed
	close context.CancelFunc
	mu    sync.Mutex // guards closed, and that none of dials begins behind it
	// The transport lets a dial go on when its request was given up.
	dials  sync.WaitGroup
	closed bool
}

// New returns a client. The error says what to do next: when no stack ran yet,
// for one, there is no authority to trust.
func New(cfg Config) (*Client, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	if cfg.Dir == "" {
		dir, err := stage.Dir()
		if err != nil {
			return nil, err
		}
		cfg.Dir = dir
	}
	pool, err := authority.Pool(cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &explained{"no stack ran here yet, so there is no " + authority.CertificateFile + " to trust. " + start, err}
	}
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	names, err := resolver.New(resolver.Config{Servers: []netip.AddrPort{cfg.DNS}})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{cfg: cfg, resolver: names, sessions: openSessions(filepath.Join(cfg.Dir, SessionsFile))}
	c.ctx, c.close = context.WithCancel(context.Background())
	c.transport = &http.Transport{
		DialContext:         c.dial,
		TLSClientConfig:     &tls.Config{RootCAs: pool, ClientSessionCache: c.sessions},
		TLSHandshakeTimeout: tlsWithin,
		ForceAttemptHTTP2:   true, // without it, a transport with a dialer of its own speaks HTTP/1.1
		DisableCompression:  true, // what is shown is what was sent
	}
	return c, nil
}

// Close closes the connections, and keeps the TLS sessions for the next
// process. Call it when all requests have ended.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.close()
	c.dials.Wait()
	c.resolver.Close()
	c.transport.CloseIdleConnections()
	return c.sessions.save()
}

// Command is the stage.Run behind `click`: it makes as many requests as it is
// told to with one Client, which asks the DNS server at dnsAddr.
func Command(dnsAddr string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) (err error) {
		server, err := netip.ParseAddrPort(dnsAddr)
		if err != nil {
			return fmt.Errorf("client: set DNS_ADDR to the address and port of a DNS server, like 127.0.0.1:8053: %w", err)
		}
		c, err := New(Config{DNS: server})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		for range s.Count {
			click, err := c.Get(ctx, s.URL)
			if err != nil {
				return err
			}
			s.Click(click)
		}
		return nil
	}
}

// Get requests url, of https or http, and reads the answer, whatever its
// status. It follows no redirect. The error says what to do next.
func (c *Client) Get(ctx context.Context, url string) (stage.Click, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return stage.Click{}, explain(c.cfg, url, err)
	}
	click, _, err := c.Do(req)
	return click, err
}

// Do is Get for any request. It returns the answer's body, too, up to 1 MiB of it:
// in a Click there is only its beginning.
func (c *Client) Do(req *http.Request) (stage.Click, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.cfg.Timeout)
	defer cancel()
	click, body, err := c.do(req.WithContext(ctx))
	if err != nil {
		return stage.Click{}, nil, explain(c.cfg, req.URL.String(), err)
	}
	return click, body, nil
}

func (c *Client) do(req *http.Request) (stage.Click, []byte, error) {
	var notes notes
	ctx, recorder := timing.Trace(httptrace.WithClientTrace(req.Context(), notes.hooks(c.cfg.DNS)))
	resp, err := c.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return stage.Click{}, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRead))
	if err != nil {
		return stage.Click{}, nil, err
	}
	times := recorder.Phases()
	click := stage.Click{
		URL: req.URL.String(), Status: resp.StatusCode, Proto: resp.Proto,
		Reused: times.Reused, Resumed: times.Resumed,
		Phases: []stage.Phase{},
		Hops:   hops(resp.Header.Values("Server-Timing")),
		Body:   string(body[:min(len(body), maxShown)]),
	}
	lookedUp, connection := notes.read()
	for _, phase := range []struct {
		name   string
		span   timing.Span
		detail string
	}{
		{"DNS", times.DNS, lookedUp},
		{"TCP", times.TCP, connection},
		{"TLS", times.TLS, handshake(resp.TLS)},
		{"wait", times.Wait, "until the answer's first byte"},
		{"body", times.Transfer, fmt.Sprintf("%d bytes", len(body))},
	} {
		if phase.span != (timing.Span{}) {
			click.Phases = append(click.Phases, stage.Phase{
				Name: phase.name, StartUS: phase.span.Start.Microseconds(), US: phase.span.Duration.Microseconds(), Detail: phase.detail,
			})
		}
	}
	return click, body, nil
}

// handshake is what was agreed on.
func handshake(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	how := "full handshake"
	if state.DidResume {
		how = "resumed"
	}
	return fmt.Sprintf("%s, %s, %s", tls.VersionName(state.Version), cmp.Or(state.NegotiatedProtocol, "no ALPN"), how)
}

// notes are what a request's hooks tell beside the times. Some may be called
// when the request is over: a dial goes on when another connection was free.
type notes struct {
	mu         sync.Mutex // guards what follows
	host       string
	lookedUp   string
	connection string
}

func (n *notes) hooks(server netip.AddrPort) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(info httptrace.DNSStartInfo) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.host = info.Host
		},
		DNSDone: func(info httptrace.DNSDoneInfo) {
			n.mu.Lock()
			defer n.mu.Unlock()
			var addrs []string
			for _, addr := range info.Addrs {
				addrs = append(addrs, addr.String())
			}
			n.lookedUp = fmt.Sprintf("%s is %s, says %s", n.host, strings.Join(addrs, " and "), server)
		},
		GotConn: func(info httptrace.GotConnInfo) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.connection = fmt.Sprintf("from %s to %s", info.Conn.LocalAddr(), info.Conn.RemoteAddr())
		},
	}
}

func (n *notes) read() (lookedUp, connection string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lookedUp, n.connection
}

// dial connects to address, "shop.test:8443", as a net.Dialer would, but with
// a look-up by the chapter's own resolver.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, net.ErrClosed
	}
	c.dials.Add(1)
	c.mu.Unlock()
	defer c.dials.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()

	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.lookup(ctx, host)
	if err != nil {
		return nil, &lookupError{host, err}
	}
	dialer := net.Dialer{Timeout: dialWithin} // tells an httptrace of the connection itself
	var errs []error
	for _, addr := range addrs { // one by one; browsers race the two families: RFC 8305
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// lookup finds the addresses of host, and tells the request's httptrace, which
// hears of look-ups from package net only.
func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil // no server is asked: RFC 6761 §6.3
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.DNSStart != nil {
		trace.DNSStart(httptrace.DNSStartInfo{Host: host})
	}
	addrs, err := c.resolver.Lookup(ctx, host)
	if trace != nil && trace.DNSDone != nil {
		info := httptrace.DNSDoneInfo{Err: err}
		for _, addr := range addrs {
			info.Addrs = append(info.Addrs, net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()})
		}
		trace.DNSDone(info)
	}
	return addrs, err
}
