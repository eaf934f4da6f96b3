package balancertest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/balancertest"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/02-load-balancer/peer"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOurs(t *testing.T) {
	balancertest.Run(t, func(t testing.TB, backends []string) string {
		ln := listen(t)
		untilEnd(t, func(ctx context.Context) error {
			return loadbalancer.Run(ctx, loadbalancer.Config{
				Backends: named(t, backends), HealthPath: "/healthz", Log: quiet,
				Transport: func(upstream *http.Transport) http.RoundTripper {
					upstream.ResponseHeaderTimeout = 2 * time.Second
					return upstream
				},
			}, func(h *dispatch.Handler) error {
				server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelWarn)}
				defer context.AfterFunc(ctx, func() { _ = server.Close() })()
				if err := server.Serve(ln); err != http.ErrServerClosed {
					return err
				}
				return nil
			})
		})
		return ln.Addr().String()
	}, map[string]string{
		"passes_trailers_of_a_request":         "what comes behind the body comes after all decisions that its header led to, and may be dropped (RFC 9112 §7.1.2); so do nginx and Traefik",
		"serves_a_client_that_is_done_sending": "net/http takes a client's FIN for its leaving, which for HTTP it nearly always is, and cancels the request",
	})
}

func TestHAProxy(t *testing.T) {
	balancertest.Run(t, func(t testing.TB, backends []string) string {
		return startPeer(t, peer.HAProxy, func(_, addr string) string {
			return `
global
	nbthread 1 # of two, each has timers of its own, and one may be late
defaults
	mode http
	timeout connect 1s
	timeout client 30s
	timeout server 2s
	timeout tunnel 30s
	timeout check 5s
	option redispatch 1
	retries 3
frontend front
	bind ` + addr + `
	default_backend back
backend back
	balance roundrobin
	option httpchk GET /healthz
	http-check expect status 200
	http-reuse always
	# What is repeated here is so by method: HAProxy itself repeats any.
	retry-on conn-failure empty-response
	http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE }
	default-server check inter 20ms rise 1 fall 2
` + servers("\tserver %s %s\n", backends)
		})
	}, map[string]string{
		"tells_a_backend_that_thinks_that_the_client_left": "without \"option abortonclose\", HAProxy takes a client's FIN for the end of its request alone; with it, serves_a_client_that_is_done_sending fails",
	})
}

func TestNginx(t *testing.T) {
	balancertest.Run(t, func(t testing.TB, backends []string) string {
		return startPeer(t, peer.Nginx, func(_, addr string) string {
			return `
access_log off;
map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
upstream back {
	zone back 256k; # its workers count together
` + servers("\tserver %[2]s max_fails=0; # %[1]s\n", backends) + `
	keepalive 64;
}
server {
	listen ` + addr + `;
	client_max_body_size 0;
	location / {
		proxy_pass http://back;
		proxy_http_version 1.1;
		proxy_set_header Host $http_host;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection $connection_upgrade;
		proxy_buffering off;
		proxy_request_buffering off;
		proxy_connect_timeout 1s;
		proxy_read_timeout 2s;
		proxy_next_upstream error timeout; # not of what may do harm twice
		proxy_next_upstream_tries 3;
	}
}
`
		})
	}, map[string]string{
		"takes_out_a_backend_whose_checks_fail":               "active checks (\"health_check\") are part of the commercial nginx; the free one learns from requests that fail",
		"brings_back_a_backend_whose_checks_succeed":          "active checks (\"health_check\") are part of the commercial nginx",
		"lets_requests_finish_at_a_backend_that_is_taken_out": "active checks (\"health_check\") are part of the commercial nginx",
		"serves_a_client_that_is_done_sending":                "without \"proxy_ignore_client_abort\", nginx takes a client's FIN for its leaving",
		"lets_a_WebSocket_client_be_done_first":               "nginx ends an upgraded connection when either side is done",
		"lets_a_backend_refuse_a_body":                        "nginx says 100 itself, and sends no Expect to backends",
		"passes_early_hints":                                  "nginx passes 103 since 1.29; before, it takes one for the whole answer",
		"passes_trailers_of_an_answer":                        "nginx passes trailers since 1.27, where told to (\"proxy_pass_trailers\")",
		"passes_trailers_of_a_request":                        "nginx drops them (RFC 9112 §7.1.2 lets it)",
	})
}

// The standard library's proxy, taking turns, does much of it alone. What it
// leaves out the suite has to find.
func TestReverseProxyAlone(t *testing.T) {
	balancertest.Run(t, func(t testing.TB, backends []string) string {
		var turn atomic.Uint64
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		ln := listen(t)
		server := &http.Server{Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Scheme, r.Out.URL.Host = "http", backends[(turn.Add(1)-1)%uint64(len(backends))]
				r.Out.Host = r.In.Host
				r.Out.Header.Del("Expect") // with it, a client gets one 100 or two, as it happens
			},
			Transport: transport,
			ErrorLog:  slog.NewLogLogger(quiet.Handler(), slog.LevelWarn),
		}}
		untilEnd(t, func(ctx context.Context) error {
			defer context.AfterFunc(ctx, func() { _ = server.Close() })()
			_ = server.Serve(ln)
			return nil
		})
		return ln.Addr().String()
	}, map[string]string{
		"gives_the_neighbour_of_a_dead_one_no_double_load":    "it tries no other backend",
		"takes_out_a_backend_whose_checks_fail":               "it has no checks",
		"brings_back_a_backend_whose_checks_succeed":          "it has no checks",
		"lets_requests_finish_at_a_backend_that_is_taken_out": "it has no checks",
		"loses_no_GET_when_a_backend_dies":                    "it tries no other backend",
		"uses_a_backend_that_was_dead":                        "it tries no other backend",
		"answers_504_when_a_backend_is_silent":                "net/http's transport waits for ever",
		"repeats_a_GET_elsewhere":                             "it tries no other backend",
		"repeats_a_POST_that_was_not_sent":                    "it tries no other backend",
		"reuses_connections":                                  "net/http's transport keeps two connections for a host (golang/go #13801)",
		"passes_trailers_of_a_request":                        "it copies the request before they have come",
		"lets_a_backend_refuse_a_body":                        "its server asks for the body as soon as it is read",
		"serves_a_client_that_is_done_sending":                "net/http takes a client's FIN for its leaving",
	})
}

func TestOursAtLayer4(t *testing.T) {
	balancertest.RunTCP(t, func(t testing.TB, backends []string, proxyHeader bool) string {
		pool, err := balancer.NewPool(named(t, backends)...)
		require.NoError(t, err)
		ln := listen(t)
		untilEnd(t, func(ctx context.Context) error {
			return layer4.Run(ctx, layer4.Config{
				Pool: pool, Picker: roundrobin.New(0), ProxyHeader: proxyHeader, CheckInterval: 20 * time.Millisecond, Log: quiet,
			}, func(handle func(context.Context, net.Conn)) error {
				server := graceful.New(handle)
				defer context.AfterFunc(ctx, func() { _ = server.Shutdown(ctx) })()
				return server.Serve(ln, 100, 10*time.Second)
			})
		})
		return ln.Addr().String()
	}, nil)
}

func TestHAProxyAtLayer4(t *testing.T) {
	balancertest.RunTCP(t, func(t testing.TB, backends []string, proxyHeader bool) string {
		header := ""
		if proxyHeader {
			header = " send-proxy-v2 check-send-proxy"
		}
		return startPeer(t, peer.HAProxy, func(_, addr string) string {
			return `
defaults
	mode tcp
	timeout connect 1s
	timeout client 30s
	timeout server 30s
	timeout check 5s
	option redispatch 1
	retries 3
listen all
	bind ` + addr + `
	balance roundrobin
	default-server check inter 20ms rise 1 fall 2` + header + `
` + servers("\tserver %s %s\n", backends)
		})
	}, nil)
}

// starting is held while a peer starts: another one could take the address that
// was free for it.
var starting sync.Mutex

func startPeer(t testing.TB, p peer.Program, config func(dir, addr string) string) (addr string) {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	return peer.ForTest(t, p, config).Addr
}

var quiet = slog.New(slog.DiscardHandler)

// servers is a line for each of backends, of its name and address.
func servers(line string, backends []string) string {
	var all strings.Builder
	for i, addr := range backends {
		fmt.Fprintf(&all, line, name(i), addr)
	}
	return all.String()
}

func name(i int) string { return string(rune('a' + i)) }

func named(t testing.TB, addrs []string) (backends []*balancer.Backend) {
	t.Helper()
	for i, addr := range addrs {
		b, err := balancer.NewBackend(name(i), addr, 1)
		require.NoError(t, err)
		backends = append(backends, b)
	}
	return backends
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln
}

// untilEnd runs f until t is over: then its context is done.
func untilEnd(t testing.TB, f func(context.Context) error) {
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		end()
		assert.NoError(t, <-ended)
	})
}
