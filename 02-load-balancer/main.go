// Command 02-load-balancer is chapters 1 and 2, live: behind chapter 1's door
// stands a load balancer, and behind that three replicas of the shop, each a
// process of its own that may be killed. Package stage, of chapter 1, explains
// the command line.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/loadbalancer"
)

func main() {
	dns, shop := stage.Env("DNS_ADDR", "127.0.0.1:8053"), stage.Env("SHOP_ADDR", "127.0.0.1:8443")
	admin, picker := stage.Env("ADMIN_ADDR", "127.0.0.1:8444"), stage.Env("PICKER", "roundrobin")
	replicas := map[string]string{
		"a": stage.Env("A_ADDR", "127.0.0.1:9001"), "b": stage.Env("B_ADDR", "127.0.0.1:9002"), "c": stage.Env("C_ADDR", "127.0.0.1:9003"),
	}
	_, port, _ := net.SplitHostPort(shop)
	d := stage.Description{
		Title: "Chapter 2: load balancer. The order reaches a kitchen",
		URL:   "https://shop.test:" + port + "/",
		Roles: []stage.Role{{Name: "dns", What: "the zone shop.test", Addr: dns}, {Name: "shop", What: "TLS, and the balancer", Addr: shop}},
		Try: []stage.Try{
			{What: "six requests, and who answers", Command: "go run ./workshop click -n 6"},
			{What: "what the balancer thinks of its backends", Command: "curl http://" + admin + "/backends"},
			{What: "drain replica b, and take it back", Command: "curl -X POST http://" + admin + "/backends/b/drain    (and …/b/undrain)"},
		},
		Env: map[string]string{
			"DNS_ADDR":     "where the DNS server listens: " + dns,
			"SHOP_ADDR":    "where the balancer listens: " + shop,
			"ADMIN_ADDR":   "where the balancer listens for its operator: " + admin,
			"PICKER":       "how it picks, " + strings.Join(loadbalancer.Pickers(), ", ") + ": " + picker,
			"WORKSHOP_DIR": "the folder for keys and state, in place of .workshop in the clone",
		},
	}
	run := map[string]stage.Run{
		"dns":   func(ctx context.Context, s *stage.Stage) error { return roles.ServeDNS(ctx, s, dns, zone.ShopTest) },
		"click": client.Command(dns),
	}
	var pairs []string
	for _, name := range []string{"a", "b", "c"} {
		addr := replicas[name]
		pairs = append(pairs, name+"="+addr)
		d.Roles = append(d.Roles, stage.Role{Name: name, What: "a replica of the shop", Addr: addr})
		d.Env[strings.ToUpper(name)+"_ADDR"] = "where replica " + name + " listens: " + addr
		run[name] = func(ctx context.Context, s *stage.Stage) error { return roles.ServeHTTP(ctx, s, addr, greet(s)) }
	}
	run["shop"] = func(ctx context.Context, s *stage.Stage) error {
		backends, err := loadbalancer.Backends(pairs...)
		if err != nil {
			return err
		}
		return loadbalancer.Run(ctx, loadbalancer.Config{
			Backends: backends, Picker: picker, HealthPath: "/healthz", AdminAddr: admin, Reveal: true, Log: s.Log,
			OnChange: func(what string) { s.Request(what, 0, nil) },
		}, func(h *dispatch.Handler) error { return roles.ServeHTTPS(ctx, s, shop, s.Observe(h)) })
	}
	stage.Main(d, run)
}

// greet is the shop: it says which replica answers, and is well whenever it can say so.
func greet(s *stage.Stage) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") })
	mux.Handle("GET /{$}", s.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Welcome to the shop, %s. Kitchen %s cooks for you, process %d.\n", r.Header.Get("X-Forwarded-For"), s.Name, os.Getpid())
	})))
	return mux
}
