package gate

import (
	"context"
	"fmt"
	"net"
	"time"

	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/02-load-balancer/solution/hashring"
)

// Bounds on the door as a whole.
const (
	maxConns    = 2000
	connectTime = 10 * time.Second // to an edge
)

// serveLayer4 carries connections from addr to the edges. A customer comes to the
// same edge each time, as long as it is not too busy, and so to the same cache.
func (g *gate) serveLayer4(ctx context.Context, s *stage.Stage, addr string, edges []string) error {
	backends, err := loadbalancer.Backends(edges...)
	if err != nil {
		return err
	}
	pool, err := balancer.NewPool(backends...)
	if err != nil {
		return err
	}
	picker, err := hashring.New(1.25)
	if err != nil {
		return err
	}
	ln, err := s.Listen(addr)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	defer ln.Close()
	c := layer4.Config{
		Pool: pool, Picker: picker, ProxyHeader: true, Log: s.Log,
		OnJoin: func(client net.Addr, b *balancer.Backend) {
			s.Request(fmt.Sprintf("%v → %s", client, b.Name()), 0, nil)
		},
		OnChange: func(what string) { s.Request(what, 0, nil) },
	}
	if g.Layer4 != nil {
		if err := g.Layer4(s, &c); err != nil {
			return err
		}
	}
	return layer4.Run(ctx, c, func(handle func(context.Context, net.Conn)) error {
		server := graceful.New(handle)
		left := make(chan struct{}) // closed when all have left
		s.Ready(ln.Addr().String())
		return s.Until(ctx, func() error {
			defer close(left)
			return server.Serve(ln, maxConns, connectTime)
		}, func(ctx context.Context) error {
			// Whoever was let in already is led to an edge: Shutdown would turn away those
			// who have none yet, and there is nobody else to go to.
			_ = ln.Close()
			select {
			case <-left:
			case <-ctx.Done():
			}
			return server.Shutdown(ctx)
		})
	})
}
