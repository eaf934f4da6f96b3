package service

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/02-load-balancer/admin"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/07-response-observability/instrument"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/solution/redmetrics"
	"clicktocode.example/07-response-observability/solution/tracing"
)

// watch returns what makes a span of each request that a handler serves, counts it,
// and has tell say it. The handler, or what it is made of, notes the route.
func (p *part) watch(tell func(http.Handler) http.Handler) (func(http.Handler) http.Handler, error) {
	red, err := redmetrics.New(redmetrics.Config{Registerer: p.registry})
	return func(h http.Handler) http.Handler {
		h = red.Wrap(tell(h))
		if p.tracer == nil {
			return h
		}
		traced := tracing.Server(h, p.tracer, func(r *http.Request) string { return r.Method + " " + redmetrics.Route(r.Context()) })
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			traced.ServeHTTP(w, r.WithContext(redmetrics.WithRoute(r.Context())))
		})
	}, err
}

// edge makes what c says an edge that can be watched.
func (p *part) edge(c *edge.Config) error {
	pool, err := balancer.NewPool(c.Backends...)
	if err != nil {
		return err
	}
	p.routes["/backends"], p.routes["/backends/"] = admin.New(pool), admin.New(pool)
	p.registry.MustRegister(meters.Balancer(pool))
	c.AdminAddr, c.CheckInterval, c.Log = "", askEvery, p.Log
	c.OnStart = func(balancer *dispatch.Handler, cached *cache.Cache) {
		p.registry.MustRegister(meters.Attempts(balancer.Stats), meters.Cache(cached.Stats))
	}
	c.Upstream = func(base http.RoundTripper) http.RoundTripper {
		return instrument.Transport(base, p.tracer, "replica")
	}
	watch, err := p.watch(p.hops)
	c.Observe = func(h http.Handler) http.Handler {
		return watch(redmetrics.Prefixes(cacheStatus(h), append([]string{"/"}, api.Prefixes...)...))
	}
	return err
}

// cacheStatus notes in the request's span what the cache did.
func cacheStatus(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
			if status := w.Header().Get("Cache-Status"); status != "" {
				span.SetAttributes(attribute.String("cache", status))
			}
		}
	})
}

// hops is next with an event for each request, which says by whom it came.
func (p *part) hops(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := *p.Stage
		own.Emit = func(e stage.Event) {
			if e.Event == stage.Request {
				e.Summary, e.Detail = e.Summary+way(w.Header().Values("Server-Timing")), nil
			}
			p.Emit(e)
		}
		own.Observe(next).ServeHTTP(w, r)
	})
}

// way is what an answer's Server-Timing says of those behind the edge, the nearest
// first: " ◄ cache miss ◄ b 4.218 ms".
func way(timing []string) string {
	var b strings.Builder
	for _, hop := range slices.Backward(timing[:max(0, len(timing)-1)]) { // the last is the edge's own
		name, rest, _ := strings.Cut(hop, ";")
		switch {
		case name == "upstream":
			if strings.Contains(rest, "attempt 1\"") {
				continue
			}
			b.WriteString(" ◄ tried more than once")
		case name == "cache":
			b.WriteString(" ◄ cache " + strings.Trim(strings.TrimPrefix(rest, "desc="), `"`))
		default:
			b.WriteString(" ◄ " + name + " " + strings.TrimPrefix(rest, "dur=") + " ms")
		}
	}
	return b.String()
}

// quiet is next without an event for each request, which is the edge's to tell. Its
// answers still say how long it took.
func (p *part) quiet(next http.Handler) http.Handler {
	own := *p.Stage
	own.Emit = nil
	return own.Observe(next)
}

// hushed is run without its requests' events.
func hushed(run stage.Run) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		own := *s
		own.Emit = func(e stage.Event) {
			if e.Event != stage.Request {
				s.Emit(e)
			}
		}
		return run(ctx, &own)
	}
}

// layer4 has the balancer before the edges ask each of them whether it is ready, at
// admins, by name: that it takes connections says that it is there, and not that it
// will be in a moment.
func (p *part) layer4(c *layer4.Config, admins map[string]string) {
	p.registry.MustRegister(meters.Balancer(c.Pool))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	c.CheckInterval, c.Log, c.OnJoin = askEvery, p.Log, nil
	c.Check = func(ctx context.Context, b *balancer.Backend) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admins[b.Name()]+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10)); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it is not ready: %s: %s", resp.Status, said)
		}
		return nil
	}
}
