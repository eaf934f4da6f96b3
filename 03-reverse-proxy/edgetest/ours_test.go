package edgetest_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/03-reverse-proxy/edgetest"
	"clicktocode.example/03-reverse-proxy/fastpath"
	"clicktocode.example/03-reverse-proxy/framing"
	"clicktocode.example/03-reverse-proxy/proxy"
	"clicktocode.example/03-reverse-proxy/solution/compress"
	"clicktocode.example/03-reverse-proxy/solution/forwarded"
)

// TestMain looks for goroutines that are left. net/http's of HTTP/2 take a second
// to end, once they have refused something.
func TestMain(m *testing.M) {
	code := m.Run()
	var leak error
	for end := time.Now().Add(5 * time.Second); code == 0 && time.Now().Before(end); {
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", leak)
		code = 1
	}
	os.Exit(code)
}

// TestOurs has the handlers as package edge has them, over one origin and for all
// hosts and paths.
func TestOurs(t *testing.T) {
	t.Parallel()
	edgetest.Run(t, startOurs, nil)
}

func TestOursHTTP2(t *testing.T) {
	t.Parallel()
	authority, err := certificate.NewAuthority(time.Now())
	require.NoError(t, err)
	leaf, err := authority.Issue(time.Now(), edgetest.Host)
	require.NoError(t, err)
	config := tlsserver.Config(func() (*tls.Certificate, error) { return leaf, nil })
	edgetest.RunHTTP2(t, func(t testing.TB, origin string) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		server := newServer(newOurs(t, origin))
		server.TLSConfig = config
		serve(t, func() error { return server.ServeTLS(ln, "", "") }, server.Close)
		return ln.Addr().String()
	}, nil)
}

func startOurs(t testing.TB, origin string) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := newServer(newOurs(t, origin))
	serve(t, func() error { return server.Serve(guarded{ln}) }, server.Close)
	return ln.Addr().String()
}

// guarded has a guard over what is read from each connection.
type guarded struct{ net.Listener }

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return framing.Guard(c, nil), nil
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
}

// serve runs a server until t ends.
func serve(t testing.TB, run, end func() error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		assert.Equal(t, http.ErrServerClosed, run())
	}()
	t.Cleanup(func() {
		assert.NoError(t, end())
		<-ended
	})
}

func newOurs(t testing.TB, origin string) http.Handler {
	quiet := slog.New(slog.DiscardHandler)
	backend, err := balancer.NewBackend("a", origin, 1)
	require.NoError(t, err)
	pool, err := balancer.NewPool(backend)
	require.NoError(t, err)
	transport := fastpath.New(upstream.New(upstream.Config{}))
	t.Cleanup(transport.CloseIdleConnections)
	last, err := dispatch.New(dispatch.Config{Pool: pool, Picker: roundrobin.New(0), Transport: transport, Log: quiet})
	require.NoError(t, err)
	who, err := forwarded.New(forwarded.Config{})
	require.NoError(t, err)
	forward, err := proxy.NewForward(proxy.ForwardConfig{Transport: last, Forwarded: who, Fail: last.Fail, Log: quiet})
	require.NoError(t, err)
	compressed, err := compress.New(forward, compress.Config{})
	require.NoError(t, err)
	cached, err := cache.New(compressed, cache.Config{Name: "edge", Log: quiet})
	require.NoError(t, err)
	t.Cleanup(cached.Close)
	routed, err := proxy.NewRouter(proxy.Route{Prefix: "/", Handler: cached})
	require.NoError(t, err)
	limited, err := proxy.NewLimits(routed, proxy.LimitsConfig{Body: 16 << 20})
	require.NoError(t, err)
	return limited
}
