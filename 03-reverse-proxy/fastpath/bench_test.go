//go:build unix

package fastpath_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/benchtest"
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
			addr := benchtest.Upstream(b)
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
			defer benchtest.ReportCPU(b)()
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
				if n != benchtest.Size {
					b.Fatal(n)
				}
			}
		})
	}
}

type closer interface {
	http.RoundTripper
	CloseIdleConnections()
}
