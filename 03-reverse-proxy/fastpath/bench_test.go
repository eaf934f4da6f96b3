//go:build unix

package fastpath_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/fastpath"
)

// BenchmarkGet is one GET of 1 KB over loopback, with a server that costs next
// to nothing: what is measured is the client.
func BenchmarkGet(b *testing.B) {
	for name, make := range map[string]func() closer{
		"upstream": func() closer { return upstream.New(upstream.Config{}) },
		"fastpath": func() closer { return fastpath.New(upstream.New(upstream.Config{})) },
	} {
		b.Run(name, func(b *testing.B) {
			addr := bareServer(b)
			t := make()
			defer t.CloseIdleConnections()
			ctx, cancel := context.WithCancel(b.Context()) // as a server's requests have one
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/menu", nil)
			if err != nil {
				b.Fatal(err)
			}
			for name, value := range map[string]string{"Accept": "*/*", "Accept-Encoding": "gzip, br", "User-Agent": "click", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "https", "Via": "2.0 edge"} {
				req.Header.Set(name, value)
			}
			buf := new([32 << 10]byte)
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				resp, err := t.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					m, err := resp.Body.Read(buf[:])
					if n += m; err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				resp.Body.Close()
				if n != 1024 {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(cpu()-before)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

type closer interface {
	http.RoundTripper
	CloseIdleConnections()
}

// cpu is what this process has used, in ns.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// bareServer answers whatever arrives in one piece with 1 KB of JSON.
func bareServer(tb testing.TB) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nCache-Control: max-age=60\r\nEtag: \"7\"\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\n\r\n" + strings.Repeat("x", 1024))
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
