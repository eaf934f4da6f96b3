//go:build unix

package proxy_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
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
				Transport: std, BufferPool: &pooled{},
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
			addr := bareServer(b)
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
					if size += n; strings.HasSuffix(string(buf[max(size-8, 0):size]), "xxxxxxx\n") {
						return size
					}
				}
			}
			size := get()
			require.Contains(b, string(buf[:size]), "200 OK")
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				get()
			}
			b.ReportMetric(float64(cpu()-before)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

type pooled struct{ sync.Pool }

func (p *pooled) Get() []byte {
	if b, ok := p.Pool.Get().(*[32 << 10]byte); ok {
		return b[:]
	}
	return make([]byte, 32<<10)
}

func (p *pooled) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

// cpu is what this process has used, in ns.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// bareServer answers whatever arrives in one piece with 1 KB of JSON.
func bareServer(tb testing.TB) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nCache-Control: max-age=60\r\nEtag: \"7\"\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\n\r\n" + strings.Repeat("x", 1023) + "\n")
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var buf [4096]byte
				for {
					if _, err := conn.Read(buf[:]); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}
