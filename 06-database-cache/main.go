// Command 06-database-cache is chapters 1 to 6, live: behind the door and the edges,
// three replicas of the order service; behind them PostgreSQL and memcached, and beside
// them stand-ins for Stripe and SendGrid, each a process of its own. Package stage, of
// chapter 1, explains the command line; beyond that, it makes tokens, and says where the
// database is:
//
//	go run ./06-database-cache -token ada -scope "orders:read orders:write"
//	psql "$(go run ./06-database-cache -database)"
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
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/06-database-cache/replica"
)

func main() {
	if code, asked := guest.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	around := replica.Look(replica.Config{})
	if code, asked := around.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	stage.Main(stack(around, kitchen.Config{}))
}

// stack is what runs: around is where PostgreSQL and memcached are, k what replicas
// work with beyond what the environment says.
func stack(around *replica.Surroundings, k kitchen.Config) (stage.Description, map[string]stage.Run) {
	var config func(*slog.Logger) (kitchen.Config, error)
	d, run := gate.New(gate.Config{
		Title: "Chapter 6: database and cache. The pantry and the fridge", Path: "/menu", API: api.Prefixes,
		What: "the bouncers, and the order service", Replicas: around.Names(),
		Replica: func(ctx context.Context, s *stage.Stage) (http.Handler, error) {
			k, err := config(s.Log)
			if err != nil {
				return nil, err
			}
			return around.Replica(ctx, s.Log, k)
		},
	})
	config = kitchen.Environment(&d, run, stage.Env("A_ADDR", "127.0.0.1:9001"), k)
	around.Furnish(&d, run)
	d.Try = append(around.Try(d, "06-database-cache"), d.Try...)
	return d, run
}
