// Package layer4 is the load balancer for connections, put together from its
// parts: it picks a backend for each, connects to it, and carries bytes.
//
//	connection → pick (a balancer.Picker) → dial, PROXY header → passthrough.Join
//	               ↑                          |
//	               └──── the dial failed ─────┘
//
// It opens nothing that passes. TLS ends at the backend, and the key is there.
// So it knows connections and no requests: it chooses once for each, tries again
// only as long as nothing was sent, and cannot tell an idle client from one that
// waits for an answer. What a backend learns of the client is its PROXY header.
//
// Active checks alone decide who is up: that a process listens says little of
// how well it works. Left out: ejection of backends whose dials fail, which
// costs a connection one more dial for each, until the checks have noticed.
//
// In the story, this is the cop at the outer gate: he waves whole carriages
// through, with their curtains drawn.
//
// Source: HAProxy's configuration manual, "mode tcp", "option redispatch",
// "send-proxy-v2", "check-send-proxy"; nginx, ngx_stream_proxy_module.
package layer4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/checks"
	"clicktocode.example/02-load-balancer/proxyproto"
	"clicktocode.example/02-load-balancer/solution/leastconn"
	"clicktocode.example/02-load-balancer/solution/passthrough"
)

// Config says what to balance. Pool is required.
type Config struct {
	// Pool holds the backends. They may come and go: connections that are with
	// one that leaves, drains or is down go on.
	Pool *balancer.Pool
	// Picker chooses among them. Its key is the client's IP address. nil is
	// leastconn's: some connections last for seconds and some for days, so turns
	// say little of who is busy.
	Picker balancer.Picker
	// Attempts is how many backends are dialled for one connection, at most.
	// Zero means 3.
	Attempts int
	// DialTimeout is how long each may take. Zero means 3 s.
	DialTimeout time.Duration
	// Idle is how long a connection may carry nothing, either way. It is to be
	// longer than the backends' own such time, whose good-byes are better: they
	// know whether somebody waits. Zero means 10 min.
	Idle time.Duration
	// ProxyHeader tells backends who the client is, by a PROXY header of version
	// 2. They must expect one, on every connection: see proxyproto.Listen.
	ProxyHeader bool

	// CheckInterval is checks.Config's. Zero means 1 s.
	CheckInterval time.Duration
	// Check is checks.Config's. nil connects, says with ProxyHeader that it is
	// nobody's connection (LOCAL), and closes.
	Check func(ctx context.Context, b *balancer.Backend) error

	// OnJoin, unless nil, is told of each connection that got a backend, by many
	// goroutines at once. It must return soon.
	OnJoin func(client net.Addr, b *balancer.Backend)
	// OnChange, unless nil, is told in words when a backend comes up or goes
	// down, one at a time. It must return soon.
	OnChange func(what string)
	// Log gets what went wrong. nil is slog.Default().
	Log *slog.Logger
}

// Run builds the balancer, and calls serve with the handler of its connections,
// which fits graceful.New:
//
//	layer4.Run(ctx, config, func(handle func(context.Context, net.Conn)) error {
//		server := graceful.New(handle)
//		return s.Until(ctx, func() error { return server.Serve(ln, 1000, 10*time.Second) }, server.Shutdown)
//	})
//
// It returns what serve returns, once all that it started has ended; it ends it
// then, or when ctx is done. serve returns when no handler runs any more. An
// error in c comes before serve, and names all that is wrong.
//
// handle returns when the connection is over. If no backend can be had, that is
// at once, and its caller closes it. The connection must have CloseWrite. A
// deadline that it came with holds until it has a backend; then Config.Idle
// counts. When handle's context is done, a connection without a backend is given
// up: nothing of it was sent, so its client can safely come again. The others go
// on until they end, or are closed.
func Run(ctx context.Context, c Config, serve func(handle func(context.Context, net.Conn)) error) error {
	if c.Pool == nil {
		return errors.New("layer4: Pool is required")
	}
	if c.Attempts < 0 || c.DialTimeout < 0 || c.Idle < 0 || c.CheckInterval < 0 {
		return fmt.Errorf("layer4: %d attempts, dial timeout of %v, idle time of %v, check interval of %v: negative", c.Attempts, c.DialTimeout, c.Idle, c.CheckInterval)
	}
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.DialTimeout = cmp.Or(c.DialTimeout, 3*time.Second)
	c.Idle = cmp.Or(c.Idle, 10*time.Minute)
	if c.Picker == nil {
		c.Picker = leastconn.New(nil)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	p := &proxy{c}
	if c.Check == nil {
		c.Check = p.check
	}
	checker, err := checks.New(c.Pool, checks.Config{Check: c.Check, Interval: cmp.Or(c.CheckInterval, time.Second), OnChange: p.changed})
	if err != nil {
		return fmt.Errorf("layer4: %w", err)
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() { checker.Run(ctx) })
	return serve(p.handle)
}

// proxy is a balancer under way.
type proxy struct{ c Config } // without zeros

// handle serves one connection.
func (p *proxy) handle(ctx context.Context, conn net.Conn) {
	client, ok := conn.(passthrough.Conn)
	if !ok {
		p.c.Log.Error("layer4: a connection without CloseWrite", "type", fmt.Sprintf("%T", conn))
		return
	}
	b, backend := p.connect(ctx, client)
	if b == nil {
		return
	}
	defer b.End()
	_ = client.SetDeadline(time.Time{}) // accept's would cut a long download; fails only where reads will, too
	if p.c.OnJoin != nil {
		p.c.OnJoin(client.RemoteAddr(), b)
	}
	if err := passthrough.Join(client, backend, p.c.Idle); err != nil {
		// Clients that hang up are most of it: no reason to wake somebody.
		p.c.Log.Debug("layer4: connection cut", "client", client.RemoteAddr(), "backend", b.Name(), "err", err)
	}
}

// connect returns the backend that took client's connection, and counts it
// there; nil when there is none, which is in the log.
func (p *proxy) connect(ctx context.Context, client net.Conn) (*balancer.Backend, passthrough.Conn) {
	header := proxyproto.Header{Source: addrPort(client.RemoteAddr()), Destination: addrPort(client.LocalAddr())}
	key := "" // belongs together with nobody
	if header.Source.IsValid() {
		key = header.Source.Addr().Unmap().String()
	}
	var tried []*balancer.Backend
	for len(tried) < p.c.Attempts && ctx.Err() == nil {
		b := p.pick(key, tried)
		if b == nil {
			break
		}
		tried = append(tried, b)
		b.Begin() // before the look at draining: what it does not see, drain.Drain waits for
		if b.State() != "draining" {
			conn, err := p.dial(ctx, b, header)
			if err == nil {
				return b, conn
			}
			p.c.Log.Warn("layer4: attempt failed", "backend", b.Name(), "attempt", len(tried), "err", err)
		}
		b.End()
	}
	p.c.Log.Warn("layer4: no backend for a connection", "client", client.RemoteAddr(), "attempts", len(tried))
	return nil, nil
}

// pick chooses one that is not in tried, nil when there is none.
func (p *proxy) pick(key string, tried []*balancer.Backend) *balancer.Backend {
	pool := p.c.Pool.Backends()
	if b := balancer.PickUntried(p.c.Picker, pool, tried, key); b != nil {
		return b
	}
	// By the last check nobody is up. It may be a second old, and a dial costs nothing.
	for _, b := range pool {
		if b.State() == "down" && !slices.Contains(tried, b) {
			return b
		}
	}
	return nil
}

// dial connects to b. What it sends is its own, so after an error another
// backend may have the connection.
func (p *proxy) dial(ctx context.Context, b *balancer.Backend, header proxyproto.Header) (passthrough.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.DialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.Addr())
	if err != nil {
		return nil, fmt.Errorf("layer4: %s: %w", b.Name(), err)
	}
	if p.c.ProxyHeader {
		_ = conn.SetWriteDeadline(time.Now().Add(p.c.DialTimeout)) // if it fails, so does Write
		if _, err := conn.Write(header.AppendV2(nil)); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("layer4: %s: writing the PROXY header: %w", b.Name(), err)
		}
		_ = conn.SetWriteDeadline(time.Time{})
	}
	return conn.(*net.TCPConn), nil
}

// check finds out that somebody listens at b.
func (p *proxy) check(ctx context.Context, b *balancer.Backend) error {
	conn, err := p.dial(ctx, b, proxyproto.Header{})
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p *proxy) changed(b *balancer.Backend, up bool, err error) {
	what := b.Name() + " is up"
	if !up {
		what = fmt.Sprintf("%s is down: %v", b.Name(), err)
	}
	p.c.Log.Info("layer4: " + what)
	if p.c.OnChange != nil {
		p.c.OnChange(what)
	}
}

// addrPort is a as a PROXY header has it; not valid, if a is no such address.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}
