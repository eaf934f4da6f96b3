// Package gate is what chapter 3 hands on to the chapters behind it: the part of
// their stacks that a request passes before it reaches a replica. The DNS server,
// the layer-4 balancer, and two edges are roles of their own, and so is each
// replica; what a replica does is the chapter's.
//
//	click ─DNS─► dns
//	click ─TCP─► balancer           layer 4, PROXY protocol, TLS passes unopened
//	              └► edge1, edge2   TLS ends here: routes, cache, compression
//	                  └► a, b, c    or others, by the layer-7 balancer in each edge
package gate

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/02-load-balancer/proxyproto"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/03-reverse-proxy/framing"
)

// Config says what stands behind the gate. All fields but Replicas, Edge,
// Layer4 and Try are required.
type Config struct {
	// Title is the stack's, and Path the path of the URL where a customer goes.
	Title, Path string
	// API are the path prefixes that replicas answer. The rest is the shop's page.
	API []string
	// What says in a few words what a replica is, and Replica makes the one of that
	// stage, which ends with ctx. It answers GET /healthz when it is well; all other
	// requests are reported. If it is a Closer, it is closed when it has ended.
	What    string
	Replica func(ctx context.Context, s *stage.Stage) (http.Handler, error)
	// Replicas are the names of the replicas' roles. None means a, b and c.
	Replicas []string
	// Edge, unless nil, may change what is to be the edge of that stage.
	Edge func(s *stage.Stage, c *edge.Config) error
	// Layer4, unless nil, may change what is to be the balancer before the edges.
	Layer4 func(s *stage.Stage, c *layer4.Config) error
	// Try are things to do, and come first.
	Try []stage.Try
}

// Closer is a replica that has more to end than the answers under way: goroutines,
// connections. Close is called once no request is served any more, and returns soon
// after ctx is done, which is in CloseTime. Its error is logged.
type Closer interface {
	Close(ctx context.Context) error
}

// CloseTime is how long a Closer may take: a role has 10 seconds to end, and the
// clients of a server 3 of them.
const CloseTime = 5 * time.Second

// New describes the stack, and has a function for each role and for click. Both
// are the caller's, to add to. Addresses are the environment's, or those that the
// description says.
func New(c Config) (stage.Description, map[string]stage.Run) {
	g := &gate{Config: c, run: map[string]stage.Run{}}
	g.d.Title, g.d.Env = c.Title, map[string]string{"WORKSHOP_DIR": "the folder for keys and state, in place of .workshop in the clone"}

	dns := g.role("dns", "the zone shop.test", "127.0.0.1:8053")
	g.run["dns"] = func(ctx context.Context, s *stage.Stage) error { return roles.ServeDNS(ctx, s, dns, zone.ShopTest) }
	g.run["click"] = client.Command(dns)

	shop := g.role("balancer", "layer 4: TLS passes unopened", "127.0.0.1:8443")
	g.d.Roles[len(g.d.Roles)-1].Held = true // nobody stands before it who could go elsewhere
	_, port, _ := net.SplitHostPort(shop)
	g.d.URL = "https://shop.test:" + port + c.Path
	g.d.Try = append(g.d.Try, c.Try...)

	picker := stage.Env("PICKER", "roundrobin")
	g.d.Env["PICKER"] = "how the edges pick a replica, " + strings.Join(loadbalancer.Pickers(), ", ") + ": " + picker
	var edges, replicas []string
	for i, name := range []string{"edge1", "edge2"} {
		addr := g.role(name, "TLS, routes, cache, layer 7", fmt.Sprintf("127.0.0.1:%d", 9101+i))
		admin := g.addr(name+"_admin", fmt.Sprintf("127.0.0.1:%d", 8444+i))
		edges = append(edges, name+"="+addr)
		g.run[name] = func(ctx context.Context, s *stage.Stage) error {
			return g.serveEdge(ctx, s, addr, admin, picker, replicas)
		}
		g.d.Try = append(g.d.Try, stage.Try{What: "what " + name + " thinks of the replicas", Command: "curl http://" + admin + "/backends"})
	}
	names := c.Replicas
	if len(names) == 0 {
		names = []string{"a", "b", "c"}
	}
	for i, name := range names {
		addr := g.role(name, c.What, fmt.Sprintf("127.0.0.1:%d", 9001+i))
		replicas = append(replicas, name+"="+addr)
		g.run[name] = func(ctx context.Context, s *stage.Stage) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			h, err := c.Replica(ctx, s)
			switch {
			case err != nil && ctx.Err() != nil:
				return nil // it was told to end while it waited for something
			case err != nil:
				return err
			}
			if closer, ok := h.(Closer); ok {
				defer func() {
					ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CloseTime)
					defer cancel()
					if err := closer.Close(ctx); err != nil {
						s.Log.Error("gate: the replica did not end in good order", "err", err)
					}
				}()
			}
			observed := s.Observe(h)
			return roles.ServeHTTP(ctx, s, addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" { // six a second, from two edges
					h.ServeHTTP(w, r)
					return
				}
				observed.ServeHTTP(w, r)
			}))
		}
	}
	g.run["balancer"] = func(ctx context.Context, s *stage.Stage) error { return g.serveLayer4(ctx, s, shop, edges) }
	return g.d, g.run
}

type gate struct {
	Config
	d   stage.Description
	run map[string]stage.Run
}

// addr is where what goes by that name listens.
func (g *gate) addr(name, fallback string) string {
	variable := strings.ToUpper(name) + "_ADDR"
	addr := stage.Env(variable, fallback)
	g.d.Env[variable] = "where " + name + " listens: " + addr
	return addr
}

// role adds a role to the description, and returns where it listens.
func (g *gate) role(name, what, fallback string) string {
	addr := g.addr(name, fallback)
	g.d.Roles = append(g.d.Roles, stage.Role{Name: name, What: what, Addr: addr})
	return addr
}

func (g *gate) serveEdge(ctx context.Context, s *stage.Stage, addr, admin, picker string, replicas []string) error {
	backends, err := loadbalancer.Backends(replicas...)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // an operator's word counts
		debug.SetGCPercent(edge.GCPercent)
	}
	refused := func(reason string) { s.Request("refused: "+reason, 0, nil) }
	c := edge.Config{
		Name: s.Name, Hosts: []string{"shop.test", "www.shop.test"}, API: g.API,
		Backends: backends, Picker: picker, HealthPath: "/healthz", AdminAddr: admin,
		Reveal: true, Observe: s.Observe, OnChange: func(what string) { s.Request(what, 0, nil) }, Log: s.Log,
	}
	if g.Edge != nil {
		if err := g.Edge(s, &c); err != nil {
			return err
		}
	}
	return edge.Run(ctx, c, func(h http.Handler) error {
		return roles.HTTPS{
			Handler: h,
			Listen:  func(ln net.Listener) (net.Listener, error) { return proxyproto.Listen(ln, headerTime) },
			Wrap:    func(conn *tls.Conn) net.Conn { return framing.Guard(conn, refused) },
		}.Serve(ctx, s, addr)
	})
}

// headerTime is how long the layer-4 balancer may take to say who connects.
const headerTime = 5 * time.Second
