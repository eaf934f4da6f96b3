package handoff_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/handoff"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
)

// patience is for what must happen. It may take long on a busy machine.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServer is the path of the whole chapter, on loopback: accept, graceful,
// TLS, HTTP.
func TestServer(t *testing.T) {
	for i, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		name := []string{"HTTP1", "HTTP2"}[i]
		t.Run("serves_"+name, func(t *testing.T) {
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s from %s", r.Proto, r.RemoteAddr)
			}))
			client, used := s.client(t, proto)
			first := get(t, client, s.url)
			assert.Contains(t, first, proto+" from 127.0.0.1:", "the handler must see the protocol that ALPN agreed on, and the client's own address")
			assert.Equal(t, first, get(t, client, s.url), "the second request must come on the same connection")
			assert.EqualValues(t, 1, len(used))
			client.CloseIdleConnections()
			s.shutDown(t)
		})

		t.Run("lets_requests_finish_and_refuses_new_ones_with_"+name, func(t *testing.T) {
			entered, gate := make(chan bool), make(chan bool)
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/slow" {
					return
				}
				entered <- true
				<-gate
				assert.NoError(t, r.Context().Err(), "winding up is no reason to give up a request that is running")
				io.WriteString(w, "served")
			}))
			client, _ := s.client(t, proto)
			answer := make(chan string, 1)
			go func() { answer <- get(t, client, s.url+"/slow") }()
			await(t, entered, "the request must reach its handler")

			down := make(chan error, 1)
			go func() { down <- s.Shutdown(t.Context()) }()
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				fresh, _ := s.client(t, proto)
				resp, err := fresh.Get(s.url)
				if err != nil {
					break
				}
				resp.Body.Close()
				fresh.CloseIdleConnections()
				require.True(t, time.Now().Before(deadline), "Shutdown was called: new connections must be refused")
			}
			require.Empty(t, down, "Shutdown must wait for the request that is running")

			gate <- true
			assert.Equal(t, "served", await(t, answer, "the request must be answered"))
			assert.NoError(t, await(t, down, "the last request was answered: Shutdown must return"))
		})

		t.Run("does_not_wait_for_idle_connections_with_"+name, func(t *testing.T) {
			s := start(t, served)
			client, used := s.client(t, proto)
			for range 3 {
				assert.Equal(t, "served", get(t, client, s.url))
			}
			require.EqualValues(t, 1, len(used), "one connection, kept alive")
			s.shutDown(t) // takes a second with HTTP/2: see ServeConn
		})

		t.Run("cuts_requests_at_the_end_of_Shutdown_with_"+name, func(t *testing.T) {
			entered, cancelled := make(chan bool), make(chan bool)
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered <- true
				<-r.Context().Done() // as database calls do that are given it
				cancelled <- true
			}))
			client, _ := s.client(t, proto)
			failed := make(chan error, 1)
			go func() {
				resp, err := client.Get(s.url)
				if err == nil {
					resp.Body.Close()
				}
				failed <- err
			}()
			await(t, entered, "the request must reach its handler")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
			await(t, cancelled, "its connection was cut: the request's context must be done")
			assert.Error(t, await(t, failed, "the client must learn that it was cut"))
		})
	}
}

func TestServeConn(t *testing.T) {
	t.Run("returns_when_the_connection_is_closed", func(t *testing.T) {
		web := newServer(t, served)
		client, done := connect(t, web)
		assert.Equal(t, "served", ask(t, client))
		select {
		case <-done:
			require.Fail(t, "too early", "ServeConn returned while its connection was open: whoever counts connections counts wrong, and closes this one")
		default:
		}
		client.Close()
		await(t, done, "the client closed the connection: ServeConn must return")
	})

	t.Run("waits_for_whoever_hijacked_the_connection", func(t *testing.T) {
		hijacked := make(chan net.Conn, 1)
		web := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			hijacked <- conn
		}))
		client, done := connect(t, web)
		_, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		require.NoError(t, err)
		conn := await(t, hijacked, "the request must reach its handler")
		go io.WriteString(conn, "another protocol\n")
		line, err := bufio.NewReader(client).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "another protocol\n", line)
		select {
		case <-done:
			require.Fail(t, "too early", "ServeConn returned while the connection was in use")
		default:
		}
		go io.Copy(io.Discard, client)
		conn.Close()
		await(t, done, "the connection was closed: ServeConn must return")
	})

	t.Run("cuts_a_handshake_at_the_connections_deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			web := newServer(t, http.NotFoundHandler())
			_, conn := net.Pipe() // nobody says hello
			require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
			begin := time.Now()
			web.ServeConn(t.Context(), conn)
			assert.Equal(t, 10*time.Second, time.Since(begin))
		})
	})

	t.Run("keeps_a_connection_beyond_the_handshakes_deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			web := newServer(t, served)
			client, done := connect(t, web)
			assert.Equal(t, "served", ask(t, client))
			time.Sleep(30 * time.Second) // connect gave it 10
			assert.Equal(t, "served", ask(t, client), "an idle connection is the http.Server's IdleTimeout's business")
			go io.Copy(io.Discard, client)
			time.Sleep(time.Minute)
			await(t, done, "after IdleTimeout, the connection must be closed")
		})
	})

	t.Run("tells_a_client_without_TLS_what_is_wrong", func(t *testing.T) {
		web := newServer(t, http.NotFoundHandler())
		near, far := net.Pipe()
		go web.ServeConn(t.Context(), far)
		go io.WriteString(near, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		_ = near.SetDeadline(time.Now().Add(patience))
		answer, _ := bufio.NewReader(near).ReadString('\n')
		assert.Equal(t, "HTTP/1.0 400 Bad Request\r\n", answer, "as http.Server.ServeTLS does")
		near.Close()
	})

	t.Run("ends_a_handshake_when_the_server_winds_up", func(t *testing.T) {
		web := newServer(t, http.NotFoundHandler())
		_, conn := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			defer close(done)
			web.ServeConn(ctx, conn)
		}()
		cancel()
		await(t, done, "the server winds up: ServeConn must return")
	})

	t.Run("wraps_what_speaks_HTTP1", func(t *testing.T) {
		for proto, want := range map[string]string{"HTTP/1.1": "/wrapped shop.test", "HTTP/2.0": "/menu shop.test"} {
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.URL.Path, " ", r.TLS.ServerName)
			}))
			s.web.Wrap = func(conn *tls.Conn) net.Conn { return rewriting{conn} }
			client, _ := s.client(t, proto)
			assert.Equal(t, want, get(t, client, s.url+"/menu"), proto)
			client.CloseIdleConnections()
			s.shutDown(t)
		}
	})

	t.Run("returns_after_Close", func(t *testing.T) {
		web := newServer(t, served)
		client, done := connect(t, web)
		assert.Equal(t, "served", ask(t, client))
		go io.Copy(io.Discard, client)
		require.NoError(t, web.Close())
		await(t, done, "the server was closed: the connection must be dropped")
		_, done = connect(t, web)
		await(t, done, "the server was closed before: the connection must be dropped")
	})
}

// rewriting is a connection on which everybody asks for something else.
type rewriting struct{ *tls.Conn }

func (r rewriting) Read(p []byte) (int, error) {
	buf := make([]byte, len(p)/2)
	n, err := r.Conn.Read(buf)
	return copy(p, bytes.Replace(buf[:n], []byte("/menu"), []byte("/wrapped"), 1)), err
}

// stack is the chapter's server.
type stack struct {
	*graceful.Server
	web  *handoff.Server
	url  string
	pool *x509.CertPool // for its clients
}

// start runs handler behind accept, graceful and TLS.
func start(t *testing.T, handler http.Handler) *stack {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web := newServer(t, handler)
	s := &stack{graceful.New(web.ServeConn), web.Server, "https://" + ln.Addr().String(), web.pool}
	returned := make(chan error, 1)
	go func() { returned <- s.Serve(ln, 100, patience) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		assert.NoError(t, s.Shutdown(ctx))
		assert.NoError(t, await(t, returned, "the server was shut down: Serve must return"))
	})
	return s
}

// shutDown shuts the server down, on which no request is running.
func (s *stack) shutDown(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx), "no request is running: no connection may hold up the end")
}

// served is a handler.
var served = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") })

// server is the server under test.
type server struct {
	*handoff.Server
	pool *x509.CertPool // for its clients
}

// newServer makes a server, which it closes with the test.
func newServer(t *testing.T, handler http.Handler) server {
	t.Helper()
	cert, pool := identity(t)
	web := handoff.New(&http.Server{
		Handler:           handler,
		ReadHeaderTimeout: patience,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
	t.Cleanup(func() { assert.NoError(t, web.Close()) })
	return server{web, pool}
}

// client speaks proto and no other. used counts its connections.
func (s *stack) client(t *testing.T, proto string) (client *http.Client, used chan bool) {
	used = make(chan bool, 100)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: "shop.test"},
		Protocols:       new(http.Protocols),
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			used <- true
			return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, addr)
		},
	}
	transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
	transport.Protocols.SetHTTP2(proto == "HTTP/2.0")
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}, used
}

func get(t *testing.T, client *http.Client, url string) string {
	resp, err := client.Get(url)
	if !assert.NoError(t, err) {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	return string(body)
}

// connect hands web one end of a connection, with 10 s for the handshake. done
// is closed when ServeConn has returned.
func connect(t *testing.T, web server) (client *tls.Conn, done chan bool) {
	t.Helper()
	near, far := net.Pipe()
	require.NoError(t, far.SetDeadline(time.Now().Add(10*time.Second)))
	done = make(chan bool)
	go func() {
		defer close(done)
		web.ServeConn(t.Context(), far)
	}()
	client = tls.Client(near, &tls.Config{RootCAs: web.pool, ServerName: "shop.test"})
	t.Cleanup(func() { client.Close() })
	return client, done
}

// ask sends a request on conn, and returns the answer's body.
func ask(t *testing.T, conn net.Conn) string {
	t.Helper()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-event:
	case <-time.After(patience):
		require.Fail(t, "nothing happened", why)
	}
	return v
}

// identity is what a server needs to be shop.test, and its clients to believe
// it, from now on: in synctest's bubbles it is the year 2000.
func identity(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	authority, err := certificate.NewAuthority(time.Now())
	require.NoError(t, err)
	cert, err := authority.Issue(time.Now(), "shop.test")
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Certificate)
	return *cert, pool
}
