// Package service is the finished service: all that the seven chapters have built, in
// one program of many roles, each a process of its own or all in one.
//
//	click ─DNS─► dns
//	click ─TCP─► balancer           layer 4, PROXY protocol, TLS passes unopened
//	              └► edge1, edge2   TLS ends here; routes, cache, compression, the page
//	                  └► a, b, c    gin: middleware, orders, the answer
//	                      ├► memcached    menu and orders, cache-aside
//	                      ├► postgres     orders, stock, outbox
//	                      └► payments     Stripe's API
//	worker ─► mail                  the outbox, SendGrid's API
//
// Beside its work, each role of ours has a listener for its operator (package
// operator): is it ready, what has it counted, which spans did it make. It is on
// loopback, and no edge has a route there.
//
// Each ends in the same order (package winddown): it says that it is not ready, waits
// until nobody sends it anything, finishes what it has, and closes what it needed.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/05-business-logic/api"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/solution/controller"
	pantry "clicktocode.example/06-database-cache/replica"
	"clicktocode.example/07-response-observability/waterfall"
)

// Config is what a stack may be told beyond the environment. The zero value is fine.
type Config struct {
	Kitchen kitchen.Config // of the replicas
	Pantry  pantry.Config  // where PostgreSQL and memcached are
}

// shop is the service at work.
type shop struct {
	around *pantry.Surroundings
	config func(*slog.Logger) (kitchen.Config, error) // of a replica
	admins map[string]string                          // where operators come in, by role
	parts  sync.Map                                   // *part of those at work, by its *stage.Stage
}

// New describes the stack, and has a function for each role and for click. Both are the
// caller's, to add to. What c does not say, the environment does, or what fits a laptop.
func New(c Config) (stage.Description, map[string]stage.Run) {
	s := &shop{around: pantry.Look(c.Pantry)}
	d, run := gate.New(gate.Config{
		Title: "From Click to Code: the finished service", Path: "/", API: api.Prefixes,
		What: "the bouncers, the order service, the answer", Replicas: s.around.Names(),
		Edge:   func(st *stage.Stage, c *edge.Config) error { return s.part(st).edge(c) },
		Layer4: func(st *stage.Stage, c *layer4.Config) error { s.part(st).layer4(c, s.admins); return nil },
	})
	d.Try = nil // there would be too many
	ours := slices.Clone(d.Roles)
	s.config = kitchen.Environment(&d, run, addrOf(d, "a"), c.Kitchen)
	if s.around.Missing == nil {
		ours = append(ours, stage.Role{Name: "worker", What: "sends what is in the outbox"})
	}
	s.admins = map[string]string{}
	for i, role := range ours {
		admin := read(&d, strings.ToUpper(role.Name)+"_ADMIN_ADDR", fmt.Sprintf("127.0.0.1:%d", 9401+i), "where "+role.Name+" listens for its operator")
		s.admins[role.Name] = admin
		b := s.serving(run[role.Name])
		switch {
		case role.Name == "dns":
			b = s.serving(hushed(run["dns"]))
		case role.Name == "worker":
			b, role.Addr = s.worker(admin), admin
			d.Roles = append(d.Roles, role)
		case slices.Contains(s.around.Names(), role.Name):
			b = s.app(role.Addr)
		}
		run[role.Name] = s.operate(admin, b)
	}
	for _, role := range []string{"payments", "mail"} {
		if run[role] != nil {
			run[role] = hushed(run[role])
		}
	}
	s.around.Furnish(&d, run)
	run["click"] = waterfall.Command(addrOf(d, "dns"), d.URL, slices.Collect(maps.Values(s.admins)))
	d.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "where traces are exported to, by OTLP over HTTP; OpenTelemetry's other variables count, too"
	d.Env["OTEL_SDK_DISABLED"] = "true makes no traces at all"
	read(&d, "LOG_LEVEL", "warn", "from which level on lines are logged, debug, info, warn or error; info has one for each request")
	d.Try = append(s.around.Banner(), try(d, s.admins)...)
	return d, run
}

// serving is the body of a role that needs nothing but what it is told by its part.
func (s *shop) serving(run stage.Run) body {
	return func(_ context.Context, p *part) (func(context.Context) error, error) {
		return func(ctx context.Context) error { return run(ctx, p.Stage) }, nil
	}
}

// part is the one on the stage st.
func (s *shop) part(st *stage.Stage) *part {
	p, _ := s.parts.Load(st)
	return p.(*part)
}

func addrOf(d stage.Description, role string) string {
	return d.Roles[slices.IndexFunc(d.Roles, func(r stage.Role) bool { return r.Name == role })].Addr
}

// read is what the environment says by that name, or fallback. It is added to d.
func read(d *stage.Description, name, fallback, what string) string {
	value := stage.Env(name, fallback)
	d.Env[name] = what + ": " + value
	return value
}

// try is a token, and three things to do.
func try(d stage.Description, admins map[string]string) []stage.Try {
	site := strings.TrimSuffix(d.URL, "/")
	token := "" // where there is none, the replicas say what is wrong
	if key, err := issuer.Open(""); err == nil {
		token, _ = key.Sign("ada", []string{controller.ScopeRead, controller.ScopeWrite}, time.Hour)
	}
	return []stage.Try{
		{What: "a token of ada's, for an hour", Command: "TOKEN=" + token},
		{What: "buy a dinner, and see where its time went", Command: "go run ./workshop click"},
		{What: "the menu, twice: the edge's cache has it the second time", Command: "go run ./workshop click -n 2 " + site + "/menu"},
		{What: "what an edge has counted", Command: "curl http://" + admins["edge1"] + "/metrics"},
	}
}
