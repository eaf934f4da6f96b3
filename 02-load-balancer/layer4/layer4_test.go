package layer4_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/layer4"
	"clicktocode.example/02-load-balancer/proxyproto"
	"clicktocode.example/02-load-balancer/solution/drain"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take to come true on a busy machine.
const patience = 10 * time.Second

func TestCarries(t *testing.T) {
	t.Run("TLS_unopened", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		defer server.Close()
		b := run(t, layer4.Config{Check: well}, &node{addr: server.Listener.Addr().String()})
		conn := b.dial(t)
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		}}
		resp, err := client.Get("https://example.com/") // a name in httptest's certificate
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/2.0 example.com", string(text), "the two agree on it in their handshake")
		conn.Close()
		b.idle(t)
	})

	t.Run("the_answer_to_a_client_that_is_done", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, func(conn net.Conn) {
			text, _ := io.ReadAll(conn) // to the client's FIN
			fmt.Fprintf(conn, "you said %q", text)
		}))
		conn := b.dial(t)
		fmt.Fprint(conn, "hello")
		require.NoError(t, conn.CloseWrite())
		assert.Equal(t, `you said "hello"`, all(t, conn))
		b.idle(t)
	})

	t.Run("counts_while_it_lasts", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, echo))
		conn := b.dial(t)
		assert.Equal(t, "hello", said(t, conn, "hello"))
		assert.EqualValues(t, 1, b.backends[0].Active())
		conn.Close()
		b.idle(t)
	})

	t.Run("cuts_what_idles", func(t *testing.T) {
		b := run(t, layer4.Config{Idle: 50 * time.Millisecond}, backend(t, echo))
		conn := b.dial(t)
		assert.Equal(t, "hello", said(t, conn, "hello"))
		assert.Empty(t, all(t, conn), "nothing more, and it is closed")
		b.idle(t)
	})

	t.Run("longer_than_accepts_deadline", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, echo))
		ours, theirs := pipe(t)
		require.NoError(t, theirs.SetDeadline(time.Now().Add(-time.Second)))
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.handle(context.Background(), theirs)
		}()
		assert.Equal(t, "hello", said(t, ours, "hello"))
		ours.Close()
		await(t, over, "handle returns when the connection is over")
	})
}

func TestPicks(t *testing.T) {
	t.Run("by_turns_for_one", func(t *testing.T) {
		b := run(t, layer4.Config{Picker: roundrobin.New(0)}, backend(t, says("a")), backend(t, says("b")))
		assert.Equal(t, "a b a b", b.answers(t, 4))
	})

	t.Run("by_the_clients_address", func(t *testing.T) {
		picker := &keyed{}
		b := run(t, layer4.Config{Picker: picker}, backend(t, says("a")))
		b.answers(t, 1)
		assert.Equal(t, "127.0.0.1", picker.key)
	})

	t.Run("and_tells", func(t *testing.T) {
		joined := make(chan string, 1)
		b := run(t, layer4.Config{OnJoin: func(client net.Addr, b *balancer.Backend) { joined <- client.String() + " " + b.Name() }}, backend(t, echo))
		conn := b.dial(t)
		assert.Equal(t, conn.LocalAddr().String()+" a", await(t, joined, "a connection got a backend"))
	})
}

func TestBackendsFail(t *testing.T) {
	t.Run("and_another_one_is_dialled", func(t *testing.T) {
		// Its checks say that it is well, so it gets its turns.
		b := run(t, layer4.Config{Picker: roundrobin.New(0), Check: well}, backend(t, says("a")), dead(t), backend(t, says("c")), dead(t))
		assert.Equal(t, "a c a c a c", b.answers(t, 6))
		b.idle(t)
	})

	t.Run("and_after_so_many_attempts_it_is_enough", func(t *testing.T) {
		b := run(t, layer4.Config{Picker: roundrobin.New(0), Check: well, Attempts: 2}, dead(t), dead(t), backend(t, says("c")))
		assert.Empty(t, all(t, b.dial(t)), "two were tried: closed, and nothing said")
		b.idle(t)
	})

	t.Run("and_are_out_until_they_are_back", func(t *testing.T) {
		changes := make(chan string, 9)
		mortal := backend(t, says("b"))
		b := run(t, layer4.Config{Picker: roundrobin.New(0), OnChange: func(what string) { changes <- what }}, backend(t, says("a")), mortal)
		mortal.ln.Close()
		assert.Contains(t, await(t, changes, "the check finds out"), "b is down: layer4: b: dial tcp "+mortal.addr)
		assert.Equal(t, "a a a", b.answers(t, 3))
		mortal.again(t)
		assert.Equal(t, "b is up", await(t, changes, "the check finds out"))
		assert.Contains(t, b.answers(t, 2), "b")
	})

	t.Run("all_of_them_and_clients_are_closed_at_once", func(t *testing.T) {
		changes := make(chan string, 9)
		mortal := backend(t, says("a"))
		b := run(t, layer4.Config{OnChange: func(what string) { changes <- what }}, mortal)
		mortal.ln.Close()
		await(t, changes, "the check finds out")
		for range 20 {
			assert.Empty(t, all(t, b.dial(t)), "there is no backend")
		}
		mortal.again(t)
		await(t, changes, "the check finds out")
		assert.Equal(t, "a", b.answers(t, 1), "and clients are accepted as ever")
	})

	t.Run("in_the_midst_of_a_connection", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 5))
			_ = conn.(*net.TCPConn).SetLinger(0) // as a process that is killed, whose kernel resets
		}))
		conn := b.dial(t)
		fmt.Fprint(conn, "hello")
		assert.Empty(t, all(t, conn), "the client is cut")
		b.idle(t)
	})
}

func TestProxyHeader(t *testing.T) {
	type seen struct{ remote, local, text string }
	headers := make(chan seen, 99)
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln, err := proxyproto.Listen(bare, patience)
	require.NoError(t, err)
	n := serve(t, ln, func(conn net.Conn) {
		text, err := io.ReadAll(conn)
		assert.NoError(t, err, "each connection begins with a header, of checks, too")
		headers <- seen{conn.RemoteAddr().String(), conn.LocalAddr().String(), string(text)}
	})
	b := run(t, layer4.Config{ProxyHeader: true}, n)
	conn := b.dial(t)
	fmt.Fprint(conn, "hello")
	require.NoError(t, conn.CloseWrite())
	var client, check bool
	for !client || !check {
		got := await(t, headers, "a connection of the client's, and checks")
		if got.text == "" {
			check = true
			assert.Equal(t, n.addr, got.local, "a check is the balancer's own connection: the real addresses hold")
			continue
		}
		client = true
		assert.Equal(t, seen{conn.LocalAddr().String(), b.addr, "hello"}, got, "the client, and where it connected to")
	}
}

func TestDrains(t *testing.T) {
	t.Run("a_backend", func(t *testing.T) {
		b := run(t, layer4.Config{Picker: roundrobin.New(0)}, backend(t, echo), backend(t, says("b")))
		conn := b.dial(t)
		assert.Equal(t, "hello", said(t, conn, "hello"))
		drained := make(chan error, 1)
		go func() { drained <- drain.Drain(t.Context(), b.backends[0]) }()
		require.Eventually(t, func() bool { return b.backends[0].State() == "draining" }, patience, time.Millisecond)
		assert.Equal(t, "b b b", b.answers(t, 3), "a gets no new ones")
		assert.Equal(t, "more", said(t, conn, "more"), "and what is with it goes on")
		assert.Empty(t, drained)
		conn.Close()
		require.NoError(t, await(t, drained, "the last connection is over"))
	})

	t.Run("itself", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, echo))
		conn, other := b.dial(t), b.dial(t)
		assert.Equal(t, "hello", said(t, conn, "hello"))
		assert.Equal(t, "hello", said(t, other, "hello"))
		ctx, cut := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- b.server.Shutdown(ctx) }()
		require.Eventually(t, func() bool {
			late, err := net.Dial("tcp", b.addr)
			if err == nil {
				late.Close()
			}
			return err != nil
		}, patience, time.Millisecond, "no new ones")
		assert.Equal(t, "more", said(t, conn, "more"), "those that are there go on")
		other.Close()
		cut()
		assert.ErrorIs(t, await(t, over, "cut"), context.Canceled)
		assert.Empty(t, all(t, conn), "the time is up")
		b.idle(t)
	})

	t.Run("and_takes_no_connection_without_a_backend_along", func(t *testing.T) {
		b := run(t, layer4.Config{}, backend(t, says("a")))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ours, theirs := pipe(t)
		b.handle(ctx, theirs)
		theirs.Close()
		assert.Empty(t, all(t, ours))
	})
}

func TestRunRefusesWhatCannotBe(t *testing.T) {
	never := func(func(context.Context, net.Conn)) error { return errors.New("it served") }
	assert.EqualError(t, layer4.Run(t.Context(), layer4.Config{}, never), "layer4: Pool is required")
	err := layer4.Run(t.Context(), layer4.Config{Pool: &balancer.Pool{}, Attempts: -1, Idle: -time.Second}, never)
	assert.EqualError(t, err, "layer4: -1 attempts, dial timeout of 0s, idle time of -1s, check interval of 0s: negative")
	assert.EqualError(t, layer4.Run(t.Context(), layer4.Config{Pool: &balancer.Pool{}}, never), "it served")
}

// running is a balancer.
type running struct {
	addr     string
	backends []*balancer.Backend
	server   *graceful.Server
	handle   func(context.Context, net.Conn)
}

// run starts a balancer over nodes, named a, b, c. It checks quickly.
func run(t *testing.T, c layer4.Config, nodes ...*node) *running {
	t.Helper()
	b := &running{}
	for i, n := range nodes {
		backend, err := balancer.NewBackend(string(rune('a'+i)), n.addr, 1)
		require.NoError(t, err)
		b.backends = append(b.backends, backend)
	}
	var err error
	c.Pool, err = balancer.NewPool(b.backends...)
	require.NoError(t, err)
	c.CheckInterval, c.Log = 5*time.Millisecond, slog.New(slog.DiscardHandler)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.addr = ln.Addr().String()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- layer4.Run(context.Background(), c, func(handle func(context.Context, net.Conn)) error {
			b.handle, b.server = handle, graceful.New(handle)
			close(ready)
			return b.server.Serve(ln, 100, patience)
		})
	}()
	<-ready
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.server.Shutdown(now)
		assert.NoError(t, <-ended)
	})
	return b
}

// dial connects, for as long as the test lasts.
func (b *running) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn.(*net.TCPConn)
}

// answers are what n connections in turn are told.
func (b *running) answers(t *testing.T, n int) string {
	t.Helper()
	var texts []string
	for range n {
		conn := b.dial(t)
		texts = append(texts, all(t, conn))
		conn.Close()
	}
	return strings.Join(texts, " ")
}

// idle waits until no connection counts any more.
func (b *running) idle(t *testing.T) {
	t.Helper()
	for _, backend := range b.backends {
		require.Eventually(t, func() bool { return backend.Active() == 0 }, patience, time.Millisecond, "backend %s has connections left", backend.Name())
	}
}

// all is what comes until the connection ends, in whatever way, in time.
func all(t *testing.T, conn net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(conn)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection must end")
	return string(text)
}

// said sends text, and returns as much of what comes back.
func said(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
	back := make([]byte, len(text))
	_, err = io.ReadFull(bufio.NewReaderSize(conn, 16), back)
	require.NoError(t, err)
	return string(back)
}

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func says(name string) func(net.Conn) {
	return func(conn net.Conn) { fmt.Fprint(conn, name) }
}

func well(context.Context, *balancer.Backend) error { return nil }

// keyed notes the key that it is asked with.
type keyed struct{ key string }

func (k *keyed) Pick(pool []*balancer.Backend, key string) *balancer.Backend {
	k.key = key
	return pool[0]
}

// node is a backend of the tests.
type node struct {
	addr   string
	ln     net.Listener
	handle func(net.Conn)
}

// backend starts one that calls handle for each connection.
func backend(t *testing.T, handle func(net.Conn)) *node {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serve(t, ln, handle)
}

// serve is backend, on ln.
func serve(t *testing.T, ln net.Listener, handle func(net.Conn)) *node {
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return &node{ln.Addr().String(), ln, handle}
}

// again starts n where it was.
func (n *node) again(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", n.addr)
	require.NoError(t, err)
	serve(t, ln, n.handle)
}

// dead is a backend that refuses. Its port is a connection's, so nobody else
// can come to listen there.
func dead(t *testing.T) *node {
	t.Helper()
	conn, _ := pipe(t)
	return &node{addr: conn.LocalAddr().String()}
}

// pipe is a TCP connection's two ends.
func pipe(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	ours, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	theirs, err = ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
	return ours, theirs
}

// await takes what comes out of c, which must not be long in coming.
func await[T any](t *testing.T, c <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.Fail(t, "nothing happened for ten seconds", why)
	}
	return v
}
