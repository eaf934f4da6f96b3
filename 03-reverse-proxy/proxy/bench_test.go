//go:build unix

package proxy_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"

	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/benchtest"
	"clicktocode.example/03-reverse-proxy/fastpath"
	"clicktocode.example/03-reverse-proxy/proxy"
	"clicktocode.example/03-reverse-proxy/solution/forwarded"
)

// BenchmarkProxied is one GET of 1 KB through a proxy, over loopback. Client and
// backend cost next to nothing, but for their system calls.
func BenchmarkProxied(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	forward := func(b *testing.B, rt http.RoundTripper) http.Handler {
		who, err := forwarded.New(forwarded.Config{})
		require.NoError(b, err)
		f, err := proxy.NewForward(proxy.ForwardConfig{Transport: rt, Forwarded: who, Log: quiet, Fail: func(_ http.ResponseWriter, _ *http.Request, err error) { b.Error(err) }})
		require.NoError(b, err)
		return f
	}
	to := func(addr string, rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			url := *r.URL
			url.Host = addr
			r.URL = &url
			return rt.RoundTrip(r)
		})
	}
	balanced := func(b *testing.B, addr string, rt http.RoundTripper) *dispatch.Handler {
		backend, err := balancer.NewBackend("a", addr, 1)
		require.NoError(b, err)
		pool, err := balancer.NewPool(backend)
		require.NoError(b, err)
		h, err := dispatch.New(dispatch.Config{Pool: pool, Picker: roundrobin.New(0), Transport: rt, Log: quiet})
		require.NoError(b, err)
		return h
	}
	fast := func(b *testing.B, std *http.Transport) http.RoundTripper {
		t := fastpath.New(std)
		b.Cleanup(t.CloseIdleConnections)
		return t
	}
	for _, row := range []struct {
		name string
		make func(b *testing.B, addr string, std *http.Transport) http.Handler
	}{
		{"no proxy", nil}, // what client and backend cost
		{"ReverseProxy", func(b *testing.B, addr string, std *http.Transport) http.Handler {
			return &httputil.ReverseProxy{
				Rewrite: func(p *httputil.ProxyRequest) {
					p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", addr, p.In.Host
					p.SetXForwarded()
				},
				Transport: std, BufferPool: new(benchtest.Buffers),
			}
		}},
		{"Forward over upstream", func(b *testing.B, addr string, std *http.Transport) http.Handler { return forward(b, to(addr, std)) }},
		{"Forward over fastpath", func(b *testing.B, addr string, std *http.Transport) http.Handler {
			return forward(b, to(addr, fast(b, std)))
		}},
		{"dispatch with ReverseProxy", func(b *testing.B, addr string, std *http.Transport) http.Handler { return balanced(b, addr, std) }},
		{"Forward over dispatch over fastpath", func(b *testing.B, addr string, std *http.Transport) http.Handler {
			return forward(b, balanced(b, addr, fast(b, std)))
		}},
	} {
		b.Run(row.name, func(b *testing.B) {
			std := upstream.New(upstream.Config{})
			defer std.CloseIdleConnections()
			addr := benchtest.Upstream(b)
			if row.make != nil {
				front := httptest.NewServer(row.make(b, addr, std))
				defer front.Close()
				addr = front.Listener.Addr().String()
			}
			conn, err := net.Dial("tcp", addr)
			require.NoError(b, err)
			defer conn.Close()
			request := []byte("GET /menu?a=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: click\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nCookie: table=4\r\n\r\n")
			buf := new([8 << 10]byte)
			get := func() (size int) {
				_, err := conn.Write(request)
				require.NoError(b, err)
				for {
					n, err := conn.Read(buf[size:])
					require.NoError(b, err)
					if size += n; bytes.HasSuffix(buf[:size], []byte(benchtest.End)) {
						return size
					}
				}
			}
			size := get()
			require.Contains(b, string(buf[:size]), "200 OK")
			b.ReportAllocs()
			defer benchtest.ReportCPU(b)()
			for b.Loop() {
				get()
			}
		})
	}
}
