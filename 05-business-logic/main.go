// Command 05-business-logic is chapters 1 to 5, live: behind the door and the edges,
// a replica of the order service, and beside it stand-ins for Stripe and SendGrid,
// each a process of its own. Package stage, of chapter 1, explains the command line;
// beyond that, it makes tokens:
//
//	go run ./05-business-logic -token ada -scope "orders:read orders:write"
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/replica"
)

func main() {
	if code, asked := guest.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	stage.Main(stack(replica.Config{}))
}

// stack is what runs: with c, and what the environment says beyond it.
func stack(c replica.Config) (stage.Description, map[string]stage.Run) {
	var config func(*slog.Logger) (replica.Config, error)
	d, run := gate.New(gate.Config{
		Title: "Chapter 5: business logic. The chefs", Path: "/menu", API: api.Prefixes,
		What: "the bouncers, and the order service", Replicas: []string{"a"},
		Replica: func(_ context.Context, s *stage.Stage) (http.Handler, error) {
			c, err := config(s.Log)
			if err != nil {
				return nil, err
			}
			return replica.New(c)
		},
	})
	config = replica.Environment(&d, run, d.Roles[len(d.Roles)-1].Addr, c)
	d.Try = append(replica.Try(d), d.Try...)
	return d, run
}
