package upstream_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/solution/upstream"
)

// callers is how many requests are under way at once.
const callers = 64

func TestMain(m *testing.M) {
	// net/http looks at these once, so they are set before anything else.
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		os.Setenv(name, "http://"+proxyAddr)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// proxyAddr is where the environment says that a proxy is.
const proxyAddr = "192.0.2.1:3128"

func TestNew(t *testing.T) {
	t.Run("carries_a_request", func(t *testing.T) {
		backend := serve(t, false, greet)
		resp, body := get(t, transport(t, upstream.Config{}), backend.URL)
		assert.Equal(t, http.StatusOK, resp.StatusCode, "GET %s: the backend answers 200", backend.URL)
		assert.Equal(t, "hello\n", body, "GET %s: the backend's answer must arrive", backend.URL)
	})

	t.Run("keeps_a_connection_for_each_caller", func(t *testing.T) {
		backend, together := meeting(t, callers)
		tr := transport(t, upstream.Config{})
		together(t, tr, backend)
		require.EqualValues(t, callers, backend.conns.Load(), "64 requests at once: over HTTP/1.1 each needs a connection of its own, and none may wait for another's")
		together(t, tr, backend)
		assert.EqualValues(t, callers, backend.conns.Load(), "64 requests at once made 64 connections. When all were answered, 64 more came, and the backend counts all connections ever made to it: the second round must find those of the first still open. An http.Transport keeps 2 for each backend, unless MaxIdleConnsPerHost says otherwise (golang/go #13801)")
	})

	t.Run("keeps_them_for_every_backend", func(t *testing.T) {
		tr := transport(t, upstream.Config{MaxIdle: callers})
		first, together := meeting(t, callers)
		second, togetherThere := meeting(t, callers)
		for range 2 {
			together(t, tr, first)
			togetherThere(t, tr, second)
		}
		got := []int64{first.conns.Load(), second.conns.Load()}
		assert.Equal(t, []int64{callers, callers}, got, "MaxIdle 64, two backends, two rounds of 64 requests at once to each: 64 connections to each, all reused in the second round. A bound on all backends together (MaxIdleConns, 100 in http.DefaultTransport) makes each pool smaller with every backend that is added")
	})

	t.Run("keeps_no_more_than_it_is_told", func(t *testing.T) {
		backend, together := meeting(t, 4)
		tr := transport(t, upstream.Config{MaxIdle: 3})
		together(t, tr, backend)
		together(t, tr, backend)
		assert.EqualValues(t, 4+1, backend.conns.Load(), "MaxIdle 3, and 4 requests at once, twice: 3 of the first 4 connections are kept, so the second round makes one more")
	})

	t.Run("gives_up_a_dial_in_time", func(t *testing.T) {
		bubble(t, func(t *testing.T, end <-chan struct{}) {
			c := upstream.Config{DialTimeout: 2 * time.Second, HeaderTimeout: time.Minute}
			var traced atomic.Bool
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				traced.Store(httptrace.ContextClientTrace(ctx) != nil)
				select {
				case <-ctx.Done():
				case <-end:
				}
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
			}
			took, err := fails(t, transport(t, c), "http://"+nobody)
			require.Error(t, err, "the dial does not succeed")
			assert.Equal(t, 2*time.Second, took, "DialTimeout 2s, and a backend whose machine is gone: no packet comes back. The dial (Config.Dial) must be called with a context that is done after 2 s; the request was given up after %v, with %q", took, err)
			assert.True(t, traced.Load(), "the request's context holds an httptrace.ClientTrace, and the context of its dial does not: derive it from the one that DialContext is given, and not from context.Background")
		})
	})

	t.Run("gives_up_a_TLS_handshake_in_time", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			c := upstream.Config{TLSTimeout: 2 * time.Second, HeaderTimeout: time.Minute}
			c.Dial, _ = pipe(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
			took, err := fails(t, transport(t, c), "https://"+nobody)
			require.Error(t, err, "the handshake does not succeed")
			assert.Equal(t, 2*time.Second, took, "TLSTimeout 2s, and a backend that takes connections and says nothing: TCP is done, so only a timeout for TLS's handshake ends the wait. It was given up after %v, with %q", took, err)
		})
	})

	t.Run("gives_up_a_silent_backend_in_time", func(t *testing.T) {
		bubble(t, func(t *testing.T, end <-chan struct{}) {
			c := upstream.Config{HeaderTimeout: 20 * time.Second}
			c.Dial = pipes(t, func(w http.ResponseWriter, r *http.Request) { <-end })
			took, err := fails(t, transport(t, c), "http://"+nobody)
			require.Error(t, err, "the backend does not answer")
			require.Equal(t, 20*time.Second, took, "HeaderTimeout 20s, and a backend that takes the request and never answers: the wait for the answer's header must end after 20 s. It ended after %v, with %q", took, err)
			timeout, ok := err.(net.Error)
			assert.True(t, ok && timeout.Timeout(), "the error must say that it is a timeout (net.Error's Timeout), for the client to get a 504 and not a 502: %v", err)
		})
	})

	t.Run("lets_a_slow_stream_run", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			const lines, pause = 60, time.Minute // longer in all than any timeout, and each pause, too
			c := upstream.Config{DialTimeout: time.Second, TLSTimeout: time.Second, HeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}
			c.Dial = pipes(t, func(w http.ResponseWriter, r *http.Request) {
				for i := range lines {
					fmt.Fprintf(w, "dish %d\n", i)
					if http.NewResponseController(w).Flush() != nil {
						return
					}
					time.Sleep(pause)
				}
			})
			resp, err := roundTrip(t, transport(t, c), "http://"+nobody)
			require.NoError(t, err, "the backend answers at once, and goes on for an hour")
			began := time.Now()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err, "HeaderTimeout 5s, and an answer whose header comes at once and whose body takes an hour, a line a minute: it was cut after %v. A timeout on the whole request or connection cuts streams; each step has one of its own, and the body has none", time.Since(began))
			assert.Contains(t, string(text), fmt.Sprintf("dish %d\n", lines-1), "the last line of the stream")
		})
	})

	t.Run("lets_a_slow_upload_run", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			c := upstream.Config{DialTimeout: time.Second, TLSTimeout: time.Second, HeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}
			c.Dial = pipes(t, func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, err)
			})
			body, upload := io.Pipe()
			go func() {
				for range 60 {
					io.WriteString(upload, "a dish ")
					time.Sleep(time.Minute)
				}
				upload.Close()
			}()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+nobody, body)
			require.NoError(t, err)
			began := time.Now()
			resp, err := transport(t, c).RoundTrip(req)
			took := time.Since(began)
			body.Close() // ends the upload, if it is still under way
			require.NoError(t, err, "HeaderTimeout 5s, and a body that takes an hour to send: it was cut after %v. The wait for the answer begins when the request was sent", took)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, "420 <nil>", string(text), "all of the body must arrive")
		})
	})

	t.Run("closes_a_connection_that_idles", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			dial, closed := pipe(t, func(conn net.Conn) {
				server := &http.Server{Handler: http.HandlerFunc(greet), ErrorLog: quiet}
				server.Serve(&single{conn: conn})
			})
			tr := transport(t, upstream.Config{Dial: dial, IdleTimeout: 20 * time.Second})
			for range 2 {
				_, body := get(t, tr, "http://"+nobody)
				require.Equal(t, "hello\n", body)
				time.Sleep(19 * time.Second)
			}
			require.Equal(t, 0, len(closed), "IdleTimeout 20s, and a request every 19 s: the connection must stay open")
			time.Sleep(2 * time.Second)
			synctest.Wait()
			assert.Equal(t, 1, len(closed), "IdleTimeout 20s, and the last request was 21 s ago: the connection must be closed. The backend closes it sooner or later, and a request that is on its way in that moment is lost")
		})
	})

	t.Run("keeps_a_body_back_until_it_is_wanted", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			c := upstream.Config{ContinueTimeout: 10 * time.Second}
			c.Dial = pipes(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/refused" {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				if r.URL.Path == "/silent" {
					time.Sleep(10 * time.Second)
				}
				time.Sleep(5 * time.Second) // thinks about it; reading sends the 100
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			})
			for path, want := range map[string]struct {
				status int
				read   time.Duration // 0 is never
			}{"/refused": {http.StatusRequestEntityTooLarge, 0}, "/wanted": {http.StatusOK, 5 * time.Second}, "/silent": {http.StatusOK, 10 * time.Second}} {
				tr := transport(t, c)
				var read time.Duration
				began := time.Now()
				body := &watched{text: "a large order", read: func() { read = time.Since(began) }}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+nobody+path, body)
				require.NoError(t, err)
				req.ContentLength = int64(len(body.text))
				req.Header.Set("Expect", "100-continue")
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err, path)
				resp.Body.Close()
				synctest.Wait()
				assert.Equal(t, want.status, resp.StatusCode, path)
				assert.Equal(t, want.read, read, "POST %s with Expect: 100-continue, ContinueTimeout 10s: when the body was first read, 0 for never. /refused is answered 413 at once, so its body must not be sent; for /wanted the backend says 100 after 5 s; for /silent it says nothing for 15 s, and the body is sent after 10 s all the same (RFC 9110 §10.1.1)", path)
			}
		})
	})

	t.Run("takes_no_proxy_from_the_environment", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ <-chan struct{}) {
			var dialled []string
			dial := pipes(t, greet)
			tr := transport(t, upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled = append(dialled, addr)
				return dial(ctx, network, addr)
			}})
			_, body := get(t, tr, "http://kitchen.shop.test:8080/")
			require.Equal(t, "hello\n", body)
			assert.Equal(t, []string{"kitchen.shop.test:8080"}, dialled, "the environment holds HTTP_PROXY=http://%s, and a request goes to the backend kitchen.shop.test:8080: that is where the dial must go. A load balancer's way leads to its backends, whatever shell it was started from", proxyAddr)
		})
	})

	t.Run("leaves_compression_to_the_client", func(t *testing.T) {
		backend := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "Accept-Encoding: %q", r.Header.Values("Accept-Encoding"))
		})
		tr := transport(t, upstream.Config{})
		_, body := get(t, tr, backend.URL)
		assert.Equal(t, "Accept-Encoding: []", body, "the client sent no Accept-Encoding, and this is what the backend got. An http.Transport asks for gzip by itself and unpacks the answer, unless DisableCompression is set: work for nothing, and a client that could unpack gets four times the bytes")
	})

	t.Run("speaks_HTTP_2_where_it_is_offered", func(t *testing.T) {
		for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
			backend := serve(t, want == "HTTP/2.0", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }, "tls")
			_, body := get(t, transport(t, upstream.Config{TLS: &tls.Config{RootCAs: backend.roots}}), backend.URL)
			assert.Equal(t, want, body, "the backend's TLS offers %s, and that is to be spoken. An http.Transport with a DialContext or TLSClientConfig of its own does not try HTTP/2, unless ForceAttemptHTTP2 says so", want)
		}
	})

	t.Run("trusts_no_backend_that_it_should_not", func(t *testing.T) {
		backend := serve(t, true, greet, "tls")
		_, _, err := fetch(t.Context(), transport(t, upstream.Config{}), backend.URL)
		var refused *tls.CertificateVerificationError
		require.ErrorAs(t, err, &refused, "Config.TLS is nil, which trusts the system's authorities, and the backend's certificate comes from none of them: it must be refused, or anyone on the way can be the backend")
		var name string
		config := &tls.Config{RootCAs: backend.roots, ServerName: "example.com", VerifyConnection: func(state tls.ConnectionState) error {
			name = state.ServerName
			return nil
		}}
		get(t, transport(t, upstream.Config{TLS: config}), backend.URL)
		assert.Equal(t, "example.com", name, "Config.TLS has RootCAs, a ServerName and a VerifyConnection, which notes the name that was asked for: all that it says holds. Clone copies all of it")
	})

	t.Run("does_not_change_the_callers_TLS_configuration", func(t *testing.T) {
		backend := serve(t, true, greet, "tls")
		config := &tls.Config{RootCAs: backend.roots}
		_, body := get(t, transport(t, upstream.Config{TLS: config}), backend.URL)
		require.Equal(t, "hello\n", body)
		assert.Empty(t, config.NextProtos, "Config.TLS had no NextProtos, and was used for one request: an http.Transport adds the protocols that it speaks to the configuration that it holds. Give it a clone: the caller may have the original in use elsewhere")
	})
}

// transport is New's, closed with the test.
func transport(t *testing.T, c upstream.Config) *http.Transport {
	t.Helper()
	var tr *http.Transport
	require.NotPanics(t, func() { tr = upstream.New(c) }, "New panicked. Config.TLS may be nil (here it is: %t), and Clone of nil is nil", c.TLS == nil)
	require.NotNil(t, tr, "New returned nil: it returns the *http.Transport by which requests travel to the backends. Begin with &http.Transport{} and set one field after the other; each of these tests is about one or two")
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func greet(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") }

// get makes one request, and reads the answer to its end. It fails after 5 s,
// in a bubble after 5 s of that.
func get(t *testing.T, tr *http.Transport, url string) (*http.Response, string) {
	t.Helper()
	resp, body, err := fetch(t.Context(), tr, url)
	require.NoError(t, err, "GET %s: the backend is there, and answers", url)
	return resp, body
}

func fetch(ctx context.Context, tr *http.Transport, url string) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// backend is a real server, and what it has seen.
type backend struct {
	*httptest.Server
	conns atomic.Int64 // ever made to it
	roots *x509.CertPool
}

// serve starts a backend, over TLS if so asked.
func serve(t *testing.T, http2 bool, handler http.HandlerFunc, over ...string) *backend {
	t.Helper()
	b := &backend{Server: httptest.NewUnstartedServer(handler)}
	b.EnableHTTP2 = http2
	b.Config.ErrorLog = quiet
	b.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.conns.Add(1)
		}
	}
	if len(over) == 0 {
		b.Start()
	} else {
		b.StartTLS()
		b.roots = x509.NewCertPool()
		b.roots.AddCert(b.Certificate())
	}
	t.Cleanup(func() {
		b.CloseClientConnections() // before Close, which would wait for those of a request that hangs
		b.Close()
	})
	return b
}

// meeting is a backend that answers when n requests are with it, and a function
// that sends it n at once, and waits until all are answered.
func meeting(t *testing.T, n int) (*backend, func(*testing.T, *http.Transport, *backend)) {
	var mu sync.Mutex // guards what follows
	waiting, gate := 0, make(chan struct{})
	b := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		here := gate
		if waiting++; waiting == n {
			waiting, gate = 0, make(chan struct{})
			close(here)
		}
		mu.Unlock()
		select {
		case <-here:
		case <-r.Context().Done():
		}
		greet(w, r)
	})
	return b, func(t *testing.T, tr *http.Transport, b *backend) {
		t.Helper()
		errs, kept := make(chan error, n), make(chan error, n)
		// An answer that is read to its end says nothing of its connection yet: that
		// is put away by a goroutine of the transport's, a moment later.
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{PutIdleConn: func(err error) { kept <- err }})
		defer func() {
			late := time.After(500 * time.Millisecond) // one that keeps none need not say so
			for range n {
				select {
				case <-kept:
				case <-late:
					return
				}
			}
		}()
		for range n {
			go func() {
				_, _, err := fetch(ctx, tr, b.URL)
				errs <- err
			}()
		}
		for range n {
			require.NoError(t, <-errs, "%d requests at once, and a backend that answers when it has all of them: each must have a connection, and must not wait for another's end", n)
		}
	}
}

// nobody is an address that no test means to reach by a real network: whoever
// does not call Config.Dial is refused there.
const nobody = "127.0.0.1:1"

// bubble runs f in a synctest bubble, after a look outside of it that New
// returns something. end is closed when f has returned.
func bubble(t *testing.T, f func(t *testing.T, end <-chan struct{})) {
	t.Helper()
	transport(t, upstream.Config{})
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		t.Cleanup(func() { time.Sleep(2 * time.Hour) }) // runs last: ends what only waits for a time
		defer close(end)
		f(t, end)
	})
}

// pipe is a Dial that connects to handle, in memory. What arrives on closed is
// the end of one connection.
func pipe(t *testing.T, handle func(net.Conn)) (dial func(context.Context, string, string) (net.Conn, error), closed chan bool) {
	closed = make(chan bool, 16)
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		go func() {
			handle(server)
			server.Close()
		}()
		return &noting{Conn: client, closed: sync.OnceFunc(func() { closed <- true })}, nil
	}, closed
}

// pipes is a Dial that connects to an HTTP server in memory.
func pipes(t *testing.T, handler http.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	dial, _ := pipe(t, func(conn net.Conn) {
		server := &http.Server{Handler: handler, ErrorLog: quiet}
		server.Serve(&single{conn: conn})
	})
	return dial
}

// noting tells when it is closed.
type noting struct {
	net.Conn
	closed func()
}

func (n *noting) Close() error {
	n.closed()
	return n.Conn.Close()
}

// single is a listener with one connection, which ends when that does.
type single struct {
	conn net.Conn
	done chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if s.done == nil {
		s.done = make(chan struct{})
		return &noting{Conn: s.conn, closed: sync.OnceFunc(func() { close(s.done) })}, nil
	}
	<-s.done
	return nil, net.ErrClosed
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

var quiet = log.New(io.Discard, "", 0)

// roundTrip makes one request, which is over after an hour and a half.
func roundTrip(t *testing.T, tr *http.Transport, url string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{}), 90*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

// fails makes a request that is to fail, and returns how long that took.
func fails(t *testing.T, tr *http.Transport, url string) (time.Duration, error) {
	began := time.Now()
	_, err := roundTrip(t, tr, url)
	return time.Since(began), err
}

// watched is a body that notes when it is first read.
type watched struct {
	text string
	off  int
	read func()
}

func (w *watched) Read(p []byte) (int, error) {
	if w.read != nil {
		w.read()
		w.read = nil
	}
	n := copy(p, w.text[w.off:])
	if w.off += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (w *watched) Close() error { return nil }
