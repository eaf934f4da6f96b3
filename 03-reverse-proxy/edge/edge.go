// Package edge is the gate of the restaurant, put together from its parts:
//
//	TLS → limits → route → cache → compress → balancer → one of the replicas
//	                  └──→ the shop's page
//
// TLS is first, since nothing can be read before; whoever calls serve does it.
// Limits are next, to refuse while it is cheap. The route decides whose rules
// count, so the cache comes behind it. The cache comes before compress: what it
// keeps is compressed already, once. The balancer is last, since only what no
// copy can answer is worth a kitchen's time.
//
// Source: RFC 9110 §7.6; the order is that of most content delivery networks.
package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/03-reverse-proxy/fastpath"
	"clicktocode.example/03-reverse-proxy/proxy"
	"clicktocode.example/03-reverse-proxy/shop"
	"clicktocode.example/03-reverse-proxy/solution/compress"
	"clicktocode.example/03-reverse-proxy/solution/forwarded"
)

// GCPercent is GOGC for a process that is an edge and nothing else. Nearly all
// that it allocates is gone with the request, and what stays, the cache, is
// bounded: to collect less often costs memory that is there, and saves CPU.
const GCPercent = 400

// Config says what an edge serves. Name, Hosts and Backends are required.
type Config struct {
	// Name is what the edge calls itself in Via, Forwarded and Cache-Status: a
	// word, as "edge1".
	Name string
	// Hosts are the names that it answers for, as in proxy.Route.
	Hosts []string
	// Trusted are the proxies before the edge whose X-Forwarded-For is believed.
	// nil is nobody, as behind a layer-4 balancer: the PROXY header has set the
	// client's address then, and nothing before it speaks HTTP.
	Trusted []netip.Prefix
	// Backends, Picker, HealthPath, CheckInterval and AdminAddr are loadbalancer.Config's.
	Backends      []*balancer.Backend
	Picker        string
	HealthPath    string
	CheckInterval time.Duration
	AdminAddr     string
	// Upstream, unless nil, returns what carries requests to backends in base's place:
	// each attempt comes by.
	Upstream func(base http.RoundTripper) http.RoundTripper
	// API are the path prefixes that the backends answer. All others are the page's.
	API []string
	// CacheBytes bounds the cache, as cache.Config's MaxBytes.
	CacheBytes int64
	// Reveal says in Server-Timing and X-Backend what came of a request in the cache,
	// and which backend answered: good to learn by, and nobody's business elsewhere.
	Reveal bool
	// Observe, unless nil, wraps what stands behind the limits.
	Observe func(http.Handler) http.Handler
	// OnStart, unless nil, is called before anybody is served, with what has counts.
	OnStart func(*dispatch.Handler, *cache.Cache)
	// OnChange is loadbalancer.Config's.
	OnChange func(what string)
	// Log gets what went wrong. nil is slog.Default().
	Log *slog.Logger
}

// Run builds the edge, and calls serve with its handler. It returns what serve
// returns, once all that it started has ended; it ends it then, or when ctx is done.
func Run(ctx context.Context, c Config, serve func(http.Handler) error) error {
	if c.Name == "" || len(c.Hosts) == 0 || len(c.Backends) == 0 {
		return errors.New("edge: Name, Hosts and Backends are required")
	}
	return loadbalancer.Run(ctx, loadbalancer.Config{
		Backends: c.Backends, Picker: c.Picker, HealthPath: c.HealthPath, CheckInterval: c.CheckInterval, AdminAddr: c.AdminAddr,
		Reveal: c.Reveal, OnChange: c.OnChange, Log: c.Log, Transport: c.transport,
	}, func(balancer *dispatch.Handler) error {
		handler, cached, err := c.chain(balancer)
		if err != nil {
			return err
		}
		defer cached.Close()
		if c.OnStart != nil {
			c.OnStart(balancer, cached)
		}
		return serve(handler)
	})
}

// transport is what carries requests to backends.
func (c Config) transport(upstream *http.Transport) http.RoundTripper {
	fast := fastpath.New(upstream)
	if c.Upstream == nil {
		return fast
	}
	return struct {
		http.RoundTripper
		idle
	}{c.Upstream(fast), fast}
}

// idle is a transport that keeps connections.
type idle interface{ CloseIdleConnections() }

// chain builds the handlers from the last one on.
func (c Config) chain(balancer *dispatch.Handler) (http.Handler, *cache.Cache, error) {
	who, err := forwarded.New(forwarded.Config{Trusted: c.Trusted, Name: c.Name})
	if err != nil {
		return nil, nil, err
	}
	forward, err := proxy.NewForward(proxy.ForwardConfig{Transport: balancer, Forwarded: who, Fail: balancer.Fail, Log: c.Log})
	if err != nil {
		return nil, nil, err
	}
	compressed, err := compress.New(forward, compress.Config{})
	if err != nil {
		return nil, nil, err
	}
	page, err := shop.New()
	if err != nil {
		return nil, nil, err
	}
	cached, err := cache.New(compressed, cache.Config{Name: c.Name, MaxBytes: c.CacheBytes, Once: []string{"X-Backend", "X-Request-Id"}, Log: c.Log})
	if err != nil {
		return nil, nil, err
	}
	api := http.Handler(cached)
	if c.Reveal {
		api = told(cached)
	}
	var routes []proxy.Route
	for _, host := range c.Hosts {
		routes = append(routes, proxy.Route{Host: host, Prefix: "/", Handler: page})
		for _, prefix := range c.API {
			routes = append(routes, proxy.Route{Host: host, Prefix: prefix, Handler: api})
		}
	}
	var handler http.Handler
	handler, err = proxy.NewRouter(routes...)
	if err == nil {
		if c.Observe != nil {
			handler = c.Observe(handler)
		}
		handler, err = proxy.NewLimits(handler, proxy.LimitsConfig{})
	}
	if err != nil {
		cached.Close()
		return nil, nil, err
	}
	return handler, cached, nil
}
