package gate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/03-reverse-proxy/kitchen"
)

// stack runs the roles of a gate in this process, over real sockets.
type stack struct {
	t     *testing.T
	d     stage.Description
	run   map[string]stage.Run
	mu    sync.Mutex // guards roles
	roles map[string]role
}

type role struct {
	stop  context.CancelFunc
	ended chan error
}

func newStack(t *testing.T) *stack {
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	for _, name := range []string{"DNS", "BALANCER", "EDGE1", "EDGE2", "EDGE1_ADMIN", "EDGE2_ADMIN", "A", "B", "C"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Setenv(name+"_ADDR", ln.Addr().String())
		require.NoError(t, ln.Close())
	}
	s := &stack{t: t, roles: map[string]role{}}
	s.d, s.run = gate.New(gate.Config{
		Title: "a test", Path: "/menu", API: []string{"/menu", "/echo"}, What: "a kitchen",
		Replica: func(_ context.Context, s *stage.Stage) (http.Handler, error) { return kitchen.New(s.Name), nil },
	})
	t.Cleanup(func() {
		for _, r := range s.d.Roles {
			s.stop(r.Name)
		}
	})
	for _, r := range s.d.Roles {
		s.start(r.Name)
	}
	return s
}

// start runs a role, and returns once it is ready.
func (s *stack) start(name string) {
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	once := sync.OnceFunc(func() { close(ready) })
	st := &stage.Stage{Name: name, Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
		if e.Event == stage.Ready {
			once()
		}
	}}
	go func() { ended <- s.run[name](ctx, st) }()
	s.mu.Lock()
	s.roles[name] = role{stop, ended}
	s.mu.Unlock()
	select {
	case <-ready:
	case err := <-ended:
		require.FailNow(s.t, "it did not start", "%s: %v", name, err)
	case <-time.After(20 * time.Second):
		require.FailNow(s.t, "it is not ready", name)
	}
}

// stop ends a role as SIGTERM does, and waits for it.
func (s *stack) stop(name string) {
	s.mu.Lock()
	r, ok := s.roles[name]
	delete(s.roles, name)
	s.mu.Unlock()
	if !ok {
		return
	}
	r.stop()
	select {
	case err := <-r.ended:
		assert.NoError(s.t, err, name)
	case <-time.After(20 * time.Second):
		assert.Fail(s.t, "it does not end", name)
	}
}

// client is a customer who trusts the workshop's authority, and no other.
func (s *stack) client() *http.Client {
	pem, err := os.ReadFile(filepath.Join(os.Getenv("WORKSHOP_DIR"), "ca.pem"))
	require.NoError(s.t, err)
	roots := x509.NewCertPool()
	require.True(s.t, roots.AppendCertsFromPEM(pem))
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, os.Getenv("BALANCER_ADDR"))
		},
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(c *http.Client, path string) (status int, header http.Header, body string, err error) {
	resp, err := c.Get("https://shop.test" + path)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

func TestReplicas(t *testing.T) {
	names := func(d stage.Description) (names []string) {
		for _, r := range d.Roles {
			names = append(names, r.Name)
		}
		return names
	}
	d, _ := gate.New(gate.Config{Path: "/"})
	assert.Equal(t, []string{"dns", "balancer", "edge1", "edge2", "a", "b", "c"}, names(d))
	d, run := gate.New(gate.Config{Path: "/", Replicas: []string{"one"}})
	assert.Equal(t, []string{"dns", "balancer", "edge1", "edge2", "one"}, names(d))
	assert.Contains(t, d.Env, "ONE_ADDR")
	assert.NotNil(t, run["one"])
	assert.Nil(t, run["a"])
}

// closer is a replica that is closed.
type closer struct {
	http.Handler
	closed chan bool // gets whether it was closed in time
}

func (c closer) Close(ctx context.Context) error {
	c.closed <- ctx.Err() == nil
	return nil
}

func TestCloser(t *testing.T) {
	t.Setenv("ONE_ADDR", "127.0.0.1:0")
	arrived, answer := make(chan struct{}), make(chan struct{})
	one := closer{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
	}), make(chan bool, 1)}
	_, run := gate.New(gate.Config{
		Path: "/", Replicas: []string{"one"},
		Replica: func(context.Context, *stage.Stage) (http.Handler, error) { return one, nil },
	})
	ctx, stop := context.WithCancel(t.Context())
	addr, ended, answered := make(chan string, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- run["one"](ctx, &stage.Stage{Name: "one", Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
			if e.Event == stage.Ready {
				addr <- e.Addr
			}
		}})
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	go func() {
		resp, err := client.Get("http://" + <-addr)
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	stop()
	select {
	case <-one.closed:
		assert.Fail(t, "it was closed under a request that it serves")
	case <-time.After(50 * time.Millisecond):
	}
	close(answer)
	require.NoError(t, <-answered)
	require.NoError(t, <-ended)
	select {
	case inTime := <-one.closed:
		assert.True(t, inTime, "the context that it is closed with is not the one that has ended")
	default:
		assert.Fail(t, "the role has ended, and the replica was not closed")
	}
}

func TestGate(t *testing.T) {
	s := newStack(t)

	t.Run("answers_first_from_a_kitchen_then_from_the_cache", func(t *testing.T) {
		c := s.client()
		_, first, menu, err := get(c, "/menu")
		require.NoError(t, err)
		assert.Contains(t, first.Get("Cache-Status"), "fwd=uri-miss")
		_, second, again, err := get(c, "/menu")
		require.NoError(t, err)
		assert.Contains(t, second.Get("Cache-Status"), "; hit")
		assert.Equal(t, menu, again)
	})

	t.Run("tells_kitchens_the_customers_address_and_nobody_elses", func(t *testing.T) {
		c := s.client()
		var local string
		tr := c.Transport.(*http.Transport)
		dial := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext(ctx, network, os.Getenv("BALANCER_ADDR"))
			if err != nil { // only Linux has all of 127.0.0.0/8
				local = "127.0.0.1"
				return dial(ctx, network, addr)
			}
			local = "127.0.0.9"
			return conn, nil
		}
		_, _, echo, err := get(c, "/echo")
		require.NoError(t, err)
		assert.Contains(t, echo, `"`+local+`"`, "by PROXY header and X-Forwarded-For it went over two hops")
	})

	t.Run("loses_no_request_when_an_edge_is_replaced", func(t *testing.T) {
		var asked, failed atomic.Int64
		var customers sync.WaitGroup
		loaded, stop := context.WithCancel(t.Context())
		defer stop()
		for range 8 {
			c := s.client()
			customers.Go(func() {
				for loaded.Err() == nil {
					status, _, _, err := get(c, "/echo")
					if err != nil || status != http.StatusOK {
						failed.Add(1)
						t.Logf("status %d, %v", status, err)
					}
					asked.Add(1)
				}
			})
		}
		more := func() {
			was := asked.Load()
			require.Eventually(t, func() bool { return asked.Load() > was+100 }, 20*time.Second, 5*time.Millisecond, "requests go on")
		}
		more()
		for _, name := range []string{"edge1", "edge2"} {
			s.stop(name)
			more()
			s.start(name)
			more()
		}
		stop()
		customers.Wait()
		assert.Zero(t, failed.Load(), "of %d requests", asked.Load())
	})
}
