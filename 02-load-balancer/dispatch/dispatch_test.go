package dispatch_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/drain"
	"clicktocode.example/02-load-balancer/solution/outlier"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestForwards(t *testing.T) {
	t.Run("to_each_backend_in_turn", func(t *testing.T) {
		b := start(t, dispatch.Config{Reveal: true}, hello, hello)
		names := map[string]int{}
		for range 10 {
			resp, text := b.get(t, "/menu?a=1")
			assert.Equal(t, "hello GET /menu?a=1", text)
			names[resp.Header.Get("X-Backend")]++
			assert.Regexp(t, `^upstream;desc="[ab], attempt 1";dur=\d+\.\d{3}$`, resp.Header.Get("Server-Timing"))
		}
		assert.Equal(t, map[string]int{"a": 5, "b": 5}, names)
	})

	t.Run("without_telling_strangers_which", func(t *testing.T) {
		resp, _ := start(t, dispatch.Config{}, hello).get(t, "/")
		assert.Empty(t, resp.Header.Get("X-Backend"))
		assert.Empty(t, resp.Header.Get("Server-Timing"))
	})

	t.Run("and_says_for_whom", func(t *testing.T) {
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Host, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Host"], r.Header["X-Forwarded-Proto"], r.Header["Forwarded"], " ", r.URL.RawQuery)
		})
		req := b.request(t, http.MethodGet, "/?a=1&b=%zz&c=2;d=3", "")
		req.Host = "shop.test"
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
			req.Header.Set(name, "203.0.113.9")
		}
		_, text := b.do(t, req)
		assert.Equal(t, "shop.test[127.0.0.1] [shop.test] [http] [] a=1", text)
	})

	t.Run("as_a_RoundTripper", func(t *testing.T) {
		b := start(t, dispatch.Config{Reveal: true}, hello)
		req, err := http.NewRequest(http.MethodGet, "http://anywhere.test/menu", nil)
		require.NoError(t, err)
		resp, err := b.handler.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, "a", resp.Header.Get("X-Backend"))
		assert.Equal(t, "anywhere.test", req.URL.Host, "the request is its caller's")
	})

	t.Run("and_remembers", func(t *testing.T) {
		b := start(t, dispatch.Config{
			Key: func(r *http.Request) string { return r.Header.Get("Customer") },
			Remember: func(h http.Header, pool []*balancer.Backend, key string, b *balancer.Backend) {
				h.Set("Remembered", fmt.Sprint(len(pool), key, b.Name()))
			},
		}, hello)
		req := b.request(t, http.MethodGet, "/", "")
		req.Header.Set("Customer", "ann")
		resp, _ := b.do(t, req)
		assert.Equal(t, "1anna", resp.Header.Get("Remembered"))
	})
}

func TestRetries(t *testing.T) {
	t.Run("whatever_was_not_sent", func(t *testing.T) {
		b := start(t, dispatch.Config{Reveal: true}, nil, echo) // nil is dead
		for range 4 {
			resp, text := b.do(t, b.request(t, http.MethodPost, "/orders", "one soup"))
			require.Equal(t, "one soup", text, "status %d", resp.StatusCode)
			require.Equal(t, "b", resp.Header.Get("X-Backend"))
		}
	})

	for name, row := range map[string]struct {
		method, key, body string
		want              int
	}{
		"an_order_with_a_key":       {http.MethodPost, "17", "one soup", http.StatusOK},
		"a_PUT":                     {http.MethodPut, "", "one soup", http.StatusOK},
		"a_GET":                     {http.MethodGet, "", "", http.StatusOK},
		"no_order_without_a_key":    {http.MethodPost, "", "one soup", http.StatusBadGateway},
		"nothing_too_large_to_keep": {http.MethodPut, "", strings.Repeat("soup", 100), http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			b := start(t, dispatch.Config{MaxReplay: 100}, func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				if asked.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				w.Write(text)
			})
			b.add(t, "b", b.servers["a"].Config.Handler) // the same, elsewhere
			req := b.request(t, row.method, "/orders", row.body)
			if row.key != "" {
				req.Header.Set("Idempotency-Key", row.key)
			}
			resp, text := b.do(t, req)
			assert.Equal(t, row.want, resp.StatusCode)
			if row.want == http.StatusOK {
				assert.Equal(t, row.body, text)
				assert.EqualValues(t, 2, asked.Load())
			} else {
				assert.Equal(t, "502 Bad Gateway\n", text)
				assert.EqualValues(t, 1, asked.Load())
			}
		})
	}
}

// Caddy's #880: the backend behind a dead one got double load.
func TestDeadBackendsNeighbour(t *testing.T) {
	b := start(t, dispatch.Config{Reveal: true, Picker: roundrobin.New(0)}, echo, nil, echo) // b is dead, and nobody has noticed
	got := map[string]int{}
	for range 10 {
		resp, _ := b.get(t, "/")
		got[resp.Header.Get("X-Backend")]++
	}
	assert.Equal(t, map[string]int{"a": 5, "c": 5}, got, "b's turns are lost; what is retried is shared by all others")
}

func TestStatus(t *testing.T) {
	t.Run("503_when_there_is_no_backend", func(t *testing.T) {
		b := start(t, dispatch.Config{Panic: -1, RetryAfter: 1500 * time.Millisecond}, hello)
		unavailable := func(why string) {
			t.Helper()
			resp, text := b.get(t, "/")
			assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, why)
			assert.Equal(t, "2", resp.Header.Get("Retry-After"), "rounded up")
			assert.Equal(t, "503 Service Unavailable\n", text)
		}
		b.pool.Get("a").SetDown(true)
		unavailable("down")
		b.pool.Get("a").SetDown(false)
		b.pool.Get("a").SetDraining(true)
		unavailable("draining")
		b.pool.Remove("a")
		unavailable("none at all")
	})

	t.Run("504_when_it_takes_too_long", func(t *testing.T) {
		end := make(chan struct{})
		b := start(t, dispatch.Config{Transport: transport(t, upstream.Config{HeaderTimeout: 30 * time.Millisecond}), Attempts: 1}, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		})
		defer close(end)
		resp, text := b.get(t, "/")
		assert.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
		assert.Equal(t, "504 Gateway Timeout\n", text)
	})

	t.Run("502_when_it_breaks", func(t *testing.T) {
		b := start(t, dispatch.Config{}, nil)
		resp, text := b.get(t, "/secret")
		assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
		assert.Equal(t, "502 Bad Gateway\n", text, "nothing of the inside")
	})

	t.Run("499_in_the_log_when_the_client_left", func(t *testing.T) {
		entered := make(chan bool, 1)
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			entered <- true
			<-r.Context().Done()
		})
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		req := b.request(t, http.MethodGet, "/", "").WithContext(ctx)
		go func() {
			_, err := b.client.Do(req)
			left <- err
		}()
		await(t, entered, "the request is at the backend")
		assert.EqualValues(t, 1, b.pool.Get("a").Active())
		leave()
		require.ErrorIs(t, await(t, left, "the client left"), context.Canceled)
		eventually(t, func() bool { return strings.Contains(b.log.String(), "status=499") }, "it must be in the log")
		assert.NotContains(t, b.log.String(), "status=502")
		eventually(t, func() bool { return b.pool.Get("a").Active() == 0 }, "the request must be over for the backend")
	})

	t.Run("400_when_the_clients_body_breaks_off", func(t *testing.T) {
		b := start(t, dispatch.Config{}, echo)
		detector, err := outlier.New(b.pool, outlier.Config{Failures: 1, MinAvailable: 0.1})
		require.NoError(t, err)
		t.Cleanup(detector.Close)
		b.add(t, "b", http.HandlerFunc(hello))
		b.with(t, dispatch.Config{Outlier: detector})
		for range 4 {
			conn := b.dial(t)
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		}
		for _, backend := range b.pool.Backends() {
			assert.Equal(t, "up", backend.State(), "it is not the backend's fault")
		}
	})
}

func TestStats(t *testing.T) {
	b := start(t, dispatch.Config{Panic: -1}, nil, hello) // nil is dead
	is := func(what string, want dispatch.Stats) {
		t.Helper()
		assert.Equal(t, want, b.handler.Stats(), what)
	}
	is("nothing yet", dispatch.Stats{})
	b.get(t, "/")
	is("the dead one first, then the other one", dispatch.Stats{Requests: 1, Retries: 1, Failed: 1})
	assert.Equal(t, []uint64{1, 1}, []uint64{b.pool.Get("a").Begun(), b.pool.Get("b").Begun()}, "an attempt at each")
	b.pool.Get("a").SetDown(true)
	b.get(t, "/")
	is("what is down is not asked", dispatch.Stats{Requests: 2, Retries: 1, Failed: 1})
	b.pool.Get("b").SetDown(true)
	b.get(t, "/")
	is("nobody is left", dispatch.Stats{Requests: 3, Retries: 1, Failed: 1, Unserved: 1})
}

func TestPanicThreshold(t *testing.T) {
	b := start(t, dispatch.Config{Reveal: true}, hello, hello, hello)
	answered := func() map[string]bool {
		names := map[string]bool{}
		for range 60 {
			resp, _ := b.get(t, "/")
			require.Equal(t, http.StatusOK, resp.StatusCode)
			names[resp.Header.Get("X-Backend")] = true
		}
		return names
	}
	b.pool.Get("a").SetDown(true)
	assert.Equal(t, map[string]bool{"b": true, "c": true}, answered(), "2 of 3 are available: those are used")
	b.pool.Get("b").SetDown(true)
	assert.Equal(t, map[string]bool{"a": true, "b": true, "c": true}, answered(), "1 of 3 is available: all are used")
	b.pool.Get("c").SetDown(true)
	assert.Equal(t, map[string]bool{"a": true, "b": true, "c": true}, answered(), "none is available: all are used")
	b.pool.Get("c").SetDraining(true)
	assert.Equal(t, map[string]bool{"a": true, "b": true}, answered(), "one that drains is never used")
}

func TestOutlier(t *testing.T) {
	b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, hello, hello)
	detector, err := outlier.New(b.pool, outlier.Config{Failures: 2})
	require.NoError(t, err)
	defer detector.Close()
	b.with(t, dispatch.Config{Outlier: detector})
	for range 6 {
		b.get(t, "/")
	}
	assert.Equal(t, "ejected", b.pool.Get("a").State())
	for range 10 {
		resp, _ := b.get(t, "/")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}
}

func TestStreams(t *testing.T) {
	t.Run("are_flushed_at_once", func(t *testing.T) {
		next := make(chan string)
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			for text := range next {
				io.WriteString(w, text)
				w.(http.Flusher).Flush()
			}
		})
		go func() { next <- "one\n" }()
		resp, err := b.client.Do(b.request(t, http.MethodGet, "/", ""))
		require.NoError(t, err)
		defer resp.Body.Close()
		lines := make(chan string)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(resp.Body); s.Scan(); {
				lines <- s.Text()
			}
		}()
		assert.Equal(t, "one", await(t, lines, "the first line, though no second one was written"))
		assert.EqualValues(t, 1, b.pool.Get("a").Active(), "it is under way")
		next <- "two\n"
		assert.Equal(t, "two", await(t, lines, "the second line"))
		close(next)
		await(t, lines, "the end")
		eventually(t, func() bool { return b.pool.Get("a").Active() == 0 }, "it is over")
	})

	t.Run("end_badly_when_the_backend_does", func(t *testing.T) {
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half of")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		resp, err := b.client.Do(b.request(t, http.MethodGet, "/", ""))
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		assert.Error(t, err, "half an answer must not look like a whole one")
	})

	t.Run("end_at_the_backend_when_the_client_leaves", func(t *testing.T) {
		gone := make(chan bool, 1)
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			gone <- true
		})
		resp, err := b.client.Do(b.request(t, http.MethodGet, "/", ""))
		require.NoError(t, err)
		resp.Body.Close()
		await(t, gone, "the backend must learn that the client left")
	})
}

func TestUpgrade(t *testing.T) {
	b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		text, _ := io.ReadAll(rw) // to the client's FIN
		fmt.Fprintf(conn, "you said %q", text)
	})
	conn := b.dial(t).(*net.TCPConn)
	fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "chat", resp.Header.Get("Upgrade"))
	assert.EqualValues(t, 1, b.pool.Get("a").Active(), "it is under way")
	fmt.Fprint(conn, "hello")
	require.NoError(t, conn.CloseWrite())
	text, err := io.ReadAll(in)
	require.NoError(t, err)
	assert.Equal(t, `you said "hello"`, string(text), "the client is done, and still gets its answer")
	eventually(t, func() bool { return b.pool.Get("a").Active() == 0 }, "it is over")
}

func TestInterim(t *testing.T) {
	t.Run("103_passes", func(t *testing.T) {
		b := start(t, dispatch.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</menu.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "hello")
		})
		var hints []string
		req := b.request(t, http.MethodGet, "/", "")
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			},
		}))
		_, text := b.do(t, req)
		assert.Equal(t, "hello", text)
		assert.Equal(t, []string{"103</menu.css>; rel=preload"}, hints)
	})

	t.Run("100_is_the_backends_to_say", func(t *testing.T) {
		b := start(t, dispatch.Config{Transport: transport(t, upstream.Config{ContinueTimeout: time.Minute})}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refused" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			echo(w, r)
		})
		for path, want := range map[string]string{"/refused": "403 Forbidden", "/wanted": "100 Continue"} {
			conn := b.dial(t)
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n", path)
			in := bufio.NewReader(conn)
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "HTTP/1.1 "+want+"\r\n", line, path)
			if want == "100 Continue" {
				fmt.Fprint(conn, "one soup")
				_, err = in.ReadString('\n')
				require.NoError(t, err)
				resp, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, "one soup", string(text))
			}
		}
	})
}

func TestBackendsComeAndGo(t *testing.T) {
	b := start(t, dispatch.Config{}, echo, echo)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var answered atomic.Int64
	wrong := make(chan string, 4)
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				resp, err := b.client.Do(b.request(t, http.MethodPost, "/orders", "one soup")) // without a key
				if err != nil {
					wrong <- err.Error()
					return
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || string(text) != "one soup" {
					wrong <- fmt.Sprint(resp.Status, string(text), err)
					return
				}
				answered.Add(1)
			}
		})
	}
	names := []string{"a", "b"}
	for i := range 12 {
		name := fmt.Sprint("new", i)
		b.add(t, name, http.HandlerFunc(echo))
		names = append(names, name)
		old := names[0]
		names = names[1:]
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		require.NoError(t, drain.Drain(ctx, b.pool.Get(old)))
		cancel()
		b.pool.Remove(old)
		b.servers[old].CloseClientConnections() // a program that ends
		b.servers[old].Close()
		before := answered.Load()
		eventually(t, func() bool { return answered.Load() >= before+20 || len(wrong) > 0 }, "requests must go on being answered")
	}
	stop()
	clients.Wait()
	select {
	case what := <-wrong:
		require.Fail(t, "a request was lost while backends came and went", what)
	default:
	}
	t.Logf("%d requests, 12 backends came and 12 went", answered.Load())
}

func TestNew(t *testing.T) {
	_, err := dispatch.New(dispatch.Config{Scheme: "ftp", Panic: 2, RetryAfter: -1})
	require.Error(t, err)
	for _, want := range []string{"required", "ftp", "panic", "retry after"} {
		assert.ErrorContains(t, err, want)
	}
}

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s %s", r.Method, r.URL) }

func echo(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(text)
}

// balanced is a Handler before real backends, and a client.
type balanced struct {
	pool    *balancer.Pool
	servers map[string]*httptest.Server
	handler *dispatch.Handler
	config  dispatch.Config
	front   *httptest.Server
	client  *http.Client
	log     *safeBuffer
}

// start starts backends a, b, c; a nil one is dead. c needs neither Pool nor
// Picker nor Transport nor Log.
func start(t *testing.T, c dispatch.Config, backends ...http.HandlerFunc) *balanced {
	t.Helper()
	b := &balanced{pool: new(balancer.Pool), servers: map[string]*httptest.Server{}, log: &safeBuffer{}}
	dead := map[string]bool{} // by address. To close a server is not enough: another may get its port
	for i, handler := range backends {
		name := string(rune('a' + i))
		b.add(t, name, handler)
		dead[b.pool.Get(name).Addr()] = handler == nil
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dead[addr] {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	b.config = dispatch.Config{
		Pool: b.pool, Picker: roundrobin.New(0), Transport: transport(t, upstream.Config{Dial: dial}),
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	if c.Transport != nil {
		b.config.Transport = c.Transport
	}
	b.front = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }))
	b.with(t, c)
	b.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.front.Start()
	t.Cleanup(func() {
		b.front.CloseClientConnections()
		b.front.Close()
	})
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(tr.CloseIdleConnections)
	b.client = &http.Client{Transport: tr, Timeout: 10 * time.Second}
	return b
}

// with makes a new Handler, before requests are sent.
func (b *balanced) with(t *testing.T, c dispatch.Config) {
	t.Helper()
	c.Pool, c.Picker, c.Transport, c.Log = b.config.Pool, b.config.Picker, b.config.Transport, b.config.Log
	var err error
	b.handler, err = dispatch.New(c)
	require.NoError(t, err)
}

// add starts a backend, and puts it into the pool.
func (b *balanced) add(t *testing.T, name string, handler http.Handler) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	backend, err := balancer.NewBackend(name, s.Listener.Addr().String(), 1)
	require.NoError(t, err)
	require.NoError(t, b.pool.Add(backend))
	b.servers[name] = s
}

func transport(t *testing.T, c upstream.Config) http.RoundTripper {
	tr := upstream.New(c)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// request is one for the balancer. Its body comes over the wire, so that
// nothing on the way can get it anew.
func (b *balanced) request(t *testing.T, method, path, body string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), method, b.front.URL+path, strings.NewReader(body))
	assert.NoError(t, err)
	return req
}

func (b *balanced) do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

func (b *balanced) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	return b.do(t, b.request(t, http.MethodGet, path, ""))
}

// dial is a connection to the balancer, with a deadline.
func (b *balanced) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.front.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	return conn
}

type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v := <-event:
		return v
	case <-time.After(5 * time.Second):
		require.Fail(t, "nothing happened for five seconds", why)
		return v
	}
}

func eventually(t *testing.T, condition func() bool, why string) {
	t.Helper()
	require.Eventually(t, condition, 5*time.Second, 2*time.Millisecond, why)
}
