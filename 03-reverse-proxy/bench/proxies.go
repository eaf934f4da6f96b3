package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/03-reverse-proxy/edge"
)

// proxies are those that are written in Go, and so run in this program: the
// handler that each has for a mode.
var proxies = map[string]func(upstreams []string) (map[mode]http.Handler, error){
	"ours": ours,
	"reverseproxy": func(upstreams []string) (map[mode]http.Handler, error) {
		return reverseProxy(upstreams, http.DefaultTransport, nil)
	},
	"reverseproxy-tuned": func(upstreams []string) (map[mode]http.Handler, error) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256 // 100 and 2
		return reverseProxy(upstreams, transport, new(buffers))
	},
}

// reverseProxy is httputil's, as its documentation shows it.
func reverseProxy(upstreams []string, transport http.RoundTripper, pool httputil.BufferPool) (map[mode]http.Handler, error) {
	var urls []*url.URL
	for _, addr := range upstreams {
		urls = append(urls, &url.URL{Scheme: "http", Host: addr})
	}
	var turn atomic.Uint64
	h := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(urls[turn.Add(1)%uint64(len(urls))])
			p.SetXForwarded()
		},
		Transport:  transport,
		BufferPool: pool,
	}
	return map[mode]http.Handler{plain: h, proxied: h}, nil
}

// buffers pools what answers are copied by.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

// ours is the edge, whole: limits, routing, cache, compression, and the balancer
// with its checks, ejection and retries.
func ours(upstreams []string) (map[mode]http.Handler, error) {
	debug.SetGCPercent(edge.GCPercent) // as package gate does
	var pairs []string
	for i, addr := range upstreams {
		pairs = append(pairs, fmt.Sprintf("%d=%s", i, addr))
	}
	backends, err := loadbalancer.Backends(pairs...)
	if err != nil {
		return nil, err
	}
	handler, failed := make(chan http.Handler), make(chan error, 1)
	go func() {
		failed <- edge.Run(context.Background(), edge.Config{
			Name: "edge", Hosts: []string{host}, Backends: backends, HealthPath: countPath, API: []string{"/menu", strings.TrimSuffix(cachedPath, "/")},
		}, func(h http.Handler) error {
			handler <- h
			select {} // up to the end of the process
		})
	}()
	select {
	case h := <-handler:
		return map[mode]http.Handler{plain: h, proxied: h, hit: h}, nil
	case err := <-failed:
		return nil, err
	}
}
