package service

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"clicktocode.example/01-dns-tcp-tls/roles"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/sendgrid"
	pantry "clicktocode.example/06-database-cache/replica"
	"clicktocode.example/07-response-observability/answer"
	"clicktocode.example/07-response-observability/instrument"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/outbox"
	"clicktocode.example/07-response-observability/solution/readiness"
	"clicktocode.example/07-response-observability/solution/redmetrics"
	"clicktocode.example/07-response-observability/solution/winddown"
)

// app is the body of a replica, which serves at addr.
func (s *shop) app(addr string) body {
	return func(ctx context.Context, p *part) (func(context.Context) error, error) {
		k, err := s.config(p.Log)
		if err != nil {
			return nil, err
		}
		k.Wrap = func(base http.RoundTripper) http.RoundTripper {
			return instrument.Transport(base, p.tracer, "payments")
		}
		k.Health = func(c *gin.Context) { p.health.Ready(c.Writer, c.Request) }
		k.Before = func(c *gin.Context) {
			redmetrics.SetRoute(c.Request.Context(), c.FullPath())
			answer.Condition(c)
		}
		k.Render, k.Produces, k.Document = answer.Render, answer.Produces, answer.Document()
		if s.around.Missing == nil {
			if err := s.furnish(ctx, p, &k); err != nil {
				return nil, err
			}
		}
		replica, err := kitchen.New(k)
		if err != nil {
			return nil, err
		}
		p.end.Workers = append(p.end.Workers, winddown.Step{Name: "orders", Do: replica.Close})
		watch, err := p.watch(p.quiet)
		if err != nil {
			return nil, err
		}
		observed := watch(replica)
		return func(ctx context.Context) error {
			return roles.ServeHTTP(ctx, p.Stage, addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" { // several a second, from each edge
					replica.ServeHTTP(w, r)
					return
				}
				observed.ServeHTTP(w, r)
			}))
		}, nil
	}
}

// furnish has k's menu, stock and orders in PostgreSQL, with memcached beside it, and
// mail in the outbox.
func (s *shop) furnish(ctx context.Context, p *part, k *kitchen.Config) error {
	store, err := s.open(ctx, p, k.To)
	if err != nil {
		return err
	}
	k.Outbox = true
	k.Ports = store.Ports()
	k.Show = store.Cache.Show
	return nil
}

// open opens the pantry for p, which closes it in the end.
func (s *shop) open(ctx context.Context, p *part, recipient func(customer string) string) (*pantry.Pantry, error) {
	c := s.around.Config
	c.Log = p.Log
	c.Store.Paid = outbox.Paid(recipient)
	c.Pool.OpenDB = instrument.SQL(p.tracer)
	c.Cache.Trace = instrument.Cache(p.tracer)
	counts := meters.NewMemcached(&c.Cache)
	store, err := pantry.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	counts.Watch(store.Cache.Down)
	p.end.Pools = append(p.end.Pools, winddown.Step{Name: "pantry", Do: func(context.Context) error { return store.Close() }})
	p.registry.MustRegister(collectors.NewDBStatsCollector(store.DB.DB, "orders"), counts)
	p.checks.Shared = append(p.checks.Shared,
		readiness.Check{Name: "postgres", Do: store.DB.PingContext},
		readiness.Check{Name: "memcached", Do: func(context.Context) error {
			if down, _ := store.Cache.Down(); down > 0 {
				return errors.New("it is passed by, since it failed too often")
			}
			return nil
		}})
	return store, nil
}

// worker is the body of the role that sends mail.
func (s *shop) worker(admin string) body {
	return func(ctx context.Context, p *part) (func(context.Context) error, error) {
		k, err := s.config(p.Log)
		if err != nil {
			return nil, err
		}
		store, err := s.open(ctx, p, k.To)
		if err != nil {
			return nil, err
		}
		mailer, err := sendgrid.New(k.Mail)
		if err != nil {
			return nil, err
		}
		loop, err := outbox.New(outbox.Config{DB: store.DB, Mailer: mailer, Log: p.Log})
		if err != nil {
			return nil, err
		}
		p.end.Workers = append(p.end.Workers, winddown.Step{Name: "outbox", Do: func(ctx context.Context) error {
			defer mailer.Close()
			return loop.Close(ctx)
		}})
		p.registry.MustRegister(meters.Outbox(loop.Stats))
		return func(ctx context.Context) error {
			p.Ready(admin)
			<-ctx.Done()
			return nil
		}, nil
	}
}
