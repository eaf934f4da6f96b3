//go:build unix

package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/03-reverse-proxy/benchtest"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/03-reverse-proxy/framing"
)

// BenchmarkProxied is one GET of 1 KB through the edge, or through the
// httputil.ReverseProxy that package bench calls tuned, in the clear and over
// TLS. Client and upstream are in the same process, and allocate nothing: what
// is allocated is the proxy's. Figures of time are package bench's to give.
func BenchmarkProxied(b *testing.B) {
	upstream := benchtest.Upstream(b)
	for _, proxy := range []struct {
		name  string
		guard bool
		make  func(*testing.B, string) http.Handler
	}{{"edge", true, edgeHandler}, {"reverseproxy", false, tuned}} {
		handler := proxy.make(b, upstream)
		for _, secure := range []bool{false, true} {
			name := proxy.name + "/clear"
			if secure {
				name = proxy.name + "/tls"
			}
			b.Run(name, func(b *testing.B) {
				s := httptest.NewUnstartedServer(handler)
				if secure {
					s.StartTLS() // for its certificate
					s.Listener.Close()
					config := s.TLS
					s = httptest.NewUnstartedServer(handler)
					s.Listener = tls.NewListener(s.Listener, config)
				}
				if proxy.guard {
					s.Listener = guarded{s.Listener}
				}
				s.Start()
				defer s.Close()
				request := []byte("GET /menu HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
				b.ReportAllocs()
				defer benchtest.ReportCPU(b)()
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					conn, err := net.Dial("tcp", s.Listener.Addr().String())
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close()
					if secure {
						conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
					}
					buf := make([]byte, 8<<10)
					for pb.Next() {
						_, err := conn.Write(request)
						for n := 0; err == nil && !bytes.HasSuffix(buf[:n], []byte(benchtest.End)); {
							var more int
							more, err = conn.Read(buf[n:])
							n += more
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// guarded has the edge's guard over what is read from each connection.
type guarded struct{ net.Listener }

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return framing.Guard(c, nil), nil
}

// edgeHandler is the whole edge.
func edgeHandler(b *testing.B, upstream string) http.Handler {
	backends, err := loadbalancer.Backends("a=" + upstream)
	require.NoError(b, err)
	handlers, ended := make(chan http.Handler, 1), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	b.Cleanup(func() { stop(); require.NoError(b, <-ended) })
	go func() {
		ended <- edge.Run(ctx, edge.Config{
			Name: "edge", Hosts: []string{"shop.test"}, API: []string{"/menu"}, Backends: backends, HealthPath: "/healthz", Log: slog.New(slog.DiscardHandler),
		}, func(h http.Handler) error { handlers <- h; <-ctx.Done(); return nil })
	}()
	return <-handlers
}

// tuned is what package bench calls so.
func tuned(b *testing.B, upstream string) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	b.Cleanup(transport.CloseIdleConnections)
	to := &url.URL{Scheme: "http", Host: upstream}
	return &httputil.ReverseProxy{
		Rewrite:    func(p *httputil.ProxyRequest) { p.SetURL(to); p.SetXForwarded() },
		Transport:  transport,
		BufferPool: new(benchtest.Buffers),
	}
}
