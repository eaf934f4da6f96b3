package timing_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/timing"
)

const ms = time.Millisecond

// What each step takes in the tests' network, unless they say otherwise.
const (
	lookUp    = 10 * ms
	connect   = 20 * ms
	handshake = 30 * ms
	work      = 40 * ms
	transfer  = 50 * ms
)

func TestPhases(t *testing.T) {
	// 5 ms pass between Trace and the request, so that it shows what a start is counted from.
	t.Run("finds_the_look_up", func(t *testing.T) {
		p := one(t, network{})
		assert.Equal(t, timing.Span{Start: 5 * ms, Duration: lookUp}, p.DNS, "the name look-up began 5 ms after Trace and took 10 ms: DNSStart, DNSDone")
	})

	t.Run("finds_the_way_to_a_connection", func(t *testing.T) {
		p := one(t, network{})
		assert.Equal(t, timing.Span{Start: 15 * ms, Duration: connect}, p.TCP, "connecting began 15 ms after Trace and took 20 ms: ConnectStart, ConnectDone")
	})

	t.Run("finds_the_TLS_handshake_alone", func(t *testing.T) {
		p := one(t, network{})
		assert.Equal(t, timing.Span{Start: 35 * ms, Duration: handshake}, p.TLS, "TLS began 35 ms after Trace and took 30 ms. It begins when TCP has its connection: TCP's 20 ms are not part of it")
	})

	t.Run("finds_the_wait_for_the_first_byte", func(t *testing.T) {
		p := one(t, network{})
		assert.Equal(t, timing.Span{Start: 65 * ms, Duration: work}, p.Wait, "the request had its connection 65 ms after Trace, and the server worked for 40 ms before it sent the first byte: GotConn, GotFirstResponseByte")
	})

	t.Run("counts_the_way_of_the_request", func(t *testing.T) {
		bubble(t, network{}, func(t *testing.T, client *http.Client) {
			ctx, rec := timing.Trace(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://shop.test/", &slowBody{text: "a dish"})
			require.NoError(t, err)
			resp, err := client.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			assert.Equal(t, timing.Span{Start: 60 * ms, Duration: 25*ms + work}, rec.Phases().Wait,
				"the request had its connection 60 ms after Trace, its body took 25 ms to send, and then the server worked for 40 ms. Wait is from having a connection (GotConn) on, not from having sent all")
		})
	})

	t.Run("finds_the_rest_of_the_answer", func(t *testing.T) {
		p := one(t, network{})
		assert.Equal(t, timing.Span{Start: 105 * ms, Duration: transfer}, p.Transfer, "the first byte came 105 ms after Trace, the last one 50 ms later")
		assert.Equal(t, 155*ms, p.Total, "Total: from Trace to the last byte")
	})

	t.Run("keeps_what_its_context_holds", func(t *testing.T) {
		hooksReturn(t)
		type key struct{}
		var told []string
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "a table for two"))
		defer cancel()
		parent = httptrace.WithClientTrace(parent, &httptrace.ClientTrace{GotFirstResponseByte: func() { told = append(told, "first byte") }})
		ctx, rec := timing.Trace(parent)
		h := hooks(ctx)
		h.GotConn(httptrace.GotConnInfo{Reused: true})
		h.GotFirstResponseByte()
		assert.True(t, rec.Phases().Reused, "Reused is false, and GotConn was called with a GotConnInfo that says that the connection was used before")
		assert.Equal(t, []string{"first byte"}, told, "what the hooks were told that the context held before Trace: those are called, too")
		assert.Equal(t, "a table for two", ctx.Value(key{}), "a value that the context held before Trace: the new context is made from the old one")
		cancel()
		assert.ErrorIs(t, ctx.Err(), context.Canceled, "the context that Trace was given was cancelled: the one that it returned must end with it, or the request cannot be stopped")
	})

	t.Run("shows_no_dial_on_a_reused_connection", func(t *testing.T) {
		bubble(t, network{}, func(t *testing.T, client *http.Client) {
			first, err := request(client)
			require.NoError(t, err)
			assert.False(t, first.Reused, "Reused is true for the first request, and there was no connection before it")
			p, err := request(client)
			require.NoError(t, err)
			assert.True(t, p.Reused, "Reused is false for the second request, which took the connection of the first: GotConn says so, in its GotConnInfo")
			assert.Equal(t, timing.Span{Start: 5 * ms, Duration: work}, p.Wait, "the second request had its connection at once, 5 ms after Trace; the server worked for 40 ms")
			assert.Equal(t, []timing.Span{{}, {}, {}}, []timing.Span{p.DNS, p.TCP, p.TLS}, "DNS, TCP and TLS: on a connection that was there before, nothing is looked up, connected or shaken hands about")
		})
	})

	t.Run("shows_no_dial_that_was_not_waited_for", func(t *testing.T) {
		n := network{dial: func(ctx context.Context, trace *httptrace.ClientTrace, call int) error {
			if call > 1 {
				time.Sleep(time.Second)
			}
			return plain(ctx, trace, call)
		}}
		bubble(t, n, func(t *testing.T, client *http.Client) {
			first := make(chan error, 1)
			go func() {
				_, err := request(client)
				first <- err
			}()
			time.Sleep(70 * ms)
			ctx, rec := timing.Trace(t.Context())
			require.NoError(t, get(ctx, client))
			require.NoError(t, <-first)
			time.Sleep(2 * time.Second) // the dial ends, and the hooks are called
			p := rec.Phases()
			assert.True(t, p.Reused, "Reused is false, and the first request was done before the second one's dial was: the second took the first one's connection")
			assert.Equal(t, timing.Span{Start: 85 * ms, Duration: work}, p.Wait, "the connection was free 85 ms after Trace, and the server worked for 40 ms")
			assert.Equal(t, []timing.Span{{}, {}, {}}, []timing.Span{p.DNS, p.TCP, p.TLS}, "DNS, TCP and TLS: the dial that was begun for the second request went on without it, and cost this request nothing")
		})
	})

	t.Run("says_whether_TLS_resumed_a_session", func(t *testing.T) {
		hooksReturn(t)
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		client := server.Client()
		client.Transport.(*http.Transport).TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		ctx, rec := timing.Trace(t.Context())
		require.NoError(t, getURL(ctx, client, server.URL))
		assert.False(t, rec.Phases().Resumed, "Resumed is true for the first connection, and there was no session to resume")
		client.CloseIdleConnections()
		ctx, rec = timing.Trace(t.Context())
		require.NoError(t, getURL(ctx, client, server.URL))
		assert.True(t, rec.Phases().Resumed, "Resumed is false for the second connection, which took up the session of the first: TLSHandshakeDone says so, in its ConnectionState")
		assert.False(t, rec.Phases().Reused, "Reused is true, and the request went over a new connection: a session is resumed on a new one")
	})

	t.Run("counts_attempts_that_failed", func(t *testing.T) {
		p := one(t, network{dial: func(_ context.Context, trace *httptrace.ClientTrace, _ int) error {
			trace.ConnectStart("tcp", "[2001:db8::1]:443")
			time.Sleep(15 * ms)
			trace.ConnectDone("tcp", "[2001:db8::1]:443", errRefused)
			trace.ConnectStart("tcp", "192.0.2.1:443")
			time.Sleep(connect)
			trace.ConnectDone("tcp", "192.0.2.1:443", nil)
			return nil
		}})
		assert.Equal(t, timing.Span{Start: 5 * ms, Duration: 15*ms + connect}, p.TCP, "the first address refused after 15 ms, the second took 20 ms more. The client waited for both: from the first ConnectStart to the ConnectDone without an error")
		assert.Equal(t, 40*ms, p.TLS.Start, "TLS.Start: TLS began when the second address had answered")
	})

	t.Run("leaves_out_attempts_that_lost_the_race", func(t *testing.T) {
		p := one(t, network{dial: func(_ context.Context, trace *httptrace.ClientTrace, _ int) error {
			trace.ConnectStart("tcp", "[2001:db8::1]:443")
			time.Sleep(15 * ms)
			trace.ConnectStart("tcp", "192.0.2.1:443")
			time.Sleep(connect)
			trace.ConnectDone("tcp", "192.0.2.1:443", nil)
			time.AfterFunc(10*ms, func() { trace.ConnectDone("tcp", "[2001:db8::1]:443", errCanceled) })
			return nil
		}})
		assert.Equal(t, timing.Span{Start: 5 * ms, Duration: 15*ms + connect}, p.TCP, "two addresses raced (Happy Eyeballs, RFC 8305). The second won after 35 ms; that the first was abandoned 10 ms later kept nobody waiting")
		p = one(t, network{dial: func(_ context.Context, trace *httptrace.ClientTrace, _ int) error {
			trace.ConnectStart("tcp", "[2001:db8::1]:443")
			trace.ConnectStart("tcp", "192.0.2.1:443")
			time.Sleep(connect)
			trace.ConnectDone("tcp", "192.0.2.1:443", nil)
			time.AfterFunc(10*ms, func() { trace.ConnectDone("tcp", "[2001:db8::1]:443", nil) })
			return nil
		}})
		assert.Equal(t, timing.Span{Start: 5 * ms, Duration: connect}, p.TCP, "two addresses raced. One answered after 20 ms, the other one 10 ms later, and that kept nobody waiting: TCP ends with the first success")
	})

	t.Run("counts_to_the_last_attempt_if_all_fail", func(t *testing.T) {
		bubble(t, network{dial: func(_ context.Context, trace *httptrace.ClientTrace, _ int) error {
			for _, addr := range []string{"192.0.2.1:443", "192.0.2.2:443"} {
				trace.ConnectStart("tcp", addr)
				time.Sleep(connect)
				trace.ConnectDone("tcp", addr, errRefused)
			}
			time.Sleep(7 * ms)
			return errRefused
		}}, func(t *testing.T, client *http.Client) {
			p, err := request(client)
			require.ErrorIs(t, err, errRefused)
			assert.Equal(t, timing.Span{Start: 5 * ms, Duration: 2 * connect}, p.TCP, "two addresses refused, after 20 ms each: then TCP's part was over")
			assert.Equal(t, []timing.Span{{}, {}, {}}, []timing.Span{p.TLS, p.Wait, p.Transfer}, "TLS, Wait and Transfer: without a connection, there is nothing of what comes after")
			assert.Equal(t, 52*ms, p.Total, "Total: from Trace to the error")
		})
	})

	t.Run("ends_a_phase_that_failed", func(t *testing.T) {
		hooksReturn(t)
		synctest.Test(t, func(t *testing.T) {
			ctx, rec := timing.Trace(t.Context())
			h := hooks(ctx)
			h.DNSStart(httptrace.DNSStartInfo{Host: "gone.test"})
			time.Sleep(lookUp)
			h.DNSDone(httptrace.DNSDoneInfo{Err: errNoSuchHost})
			time.Sleep(time.Second)
			assert.Equal(t, timing.Span{Duration: lookUp}, rec.Phases().DNS, "the look-up failed after 10 ms, and Phases was called a second later: DNSDone ends the phase, whatever its error")
			ctx, rec = timing.Trace(t.Context())
			h = hooks(ctx)
			h.TLSHandshakeStart()
			time.Sleep(handshake)
			h.TLSHandshakeDone(tls.ConnectionState{}, errBadCertificate)
			time.Sleep(time.Second)
			assert.Equal(t, timing.Span{Duration: handshake}, rec.Phases().TLS, "the handshake failed after 30 ms, and Phases was called a second later: TLSHandshakeDone ends the phase, whatever its error")
		})
	})

	for i, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		name := []string{"HTTP1", "HTTP2"}[i]
		t.Run("is_in_order_over_a_real_network_with_"+name, func(t *testing.T) {
			hooksReturn(t)
			const pause = 30 * ms
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, proto, r.Proto)
				time.Sleep(pause)
				io.WriteString(w, "hello")
			}))
			server.EnableHTTP2 = proto == "HTTP/2.0"
			server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				time.Sleep(pause)
				return nil, nil
			}}
			server.StartTLS()
			defer server.Close()

			ctx, rec := timing.Trace(t.Context())
			require.NoError(t, getURL(ctx, server.Client(), server.URL))
			p := rec.Phases()
			const atLeast = pause / 2 // clocks are coarse in places
			assert.Zero(t, p.DNS, "DNS: the URL holds an address, so nothing was looked up")
			assert.GreaterOrEqual(t, p.TLS.Duration, atLeast, "the server took 30 ms for its part of the handshake. %+v", p)
			assert.GreaterOrEqual(t, p.Wait.Duration, atLeast, "the server took 30 ms for the answer. %+v", p)
			assert.LessOrEqual(t, p.TCP.Start+p.TCP.Duration, p.TLS.Start, "TLS begins when TCP has its connection. %+v", p)
			assert.LessOrEqual(t, p.TLS.Start+p.TLS.Duration, p.Wait.Start, "the request is sent when TLS has shaken hands. %+v", p)
			assert.LessOrEqual(t, p.Wait.Start+p.Wait.Duration+p.Transfer.Duration, p.Total, "all phases lie within the whole. %+v", p)

			ctx, rec = timing.Trace(t.Context())
			require.NoError(t, getURL(ctx, server.Client(), server.URL))
			p = rec.Phases()
			assert.True(t, p.Reused, "Reused is false for the second request, which took the connection of the first. %+v", p)
			assert.Equal(t, []timing.Span{{}, {}, {}}, []timing.Span{p.DNS, p.TCP, p.TLS}, "DNS, TCP and TLS: on a connection that was there before, nothing is looked up, connected or shaken hands about")
		})
	}
}

var (
	errRefused        = errors.New("connection refused")
	errCanceled       = errors.New("operation was canceled")
	errNoSuchHost     = errors.New("no such host")
	errBadCertificate = errors.New("certificate of another name")
)

// slowBody is a request's body that takes 25 ms to come.
type slowBody struct{ text string }

func (b *slowBody) Read(buf []byte) (int, error) {
	if b.text == "" {
		return 0, io.EOF
	}
	time.Sleep(25 * ms)
	n := copy(buf, b.text)
	b.text = b.text[n:]
	return n, nil
}

// network is a network in memory, in which time passes as it is told.
type network struct {
	// dial calls the hooks as a dialer does, in the time that it takes; call
	// counts from 1. nil is plain.
	dial func(ctx context.Context, trace *httptrace.ClientTrace, call int) error
}

// plain is a dial without incident.
func plain(_ context.Context, trace *httptrace.ClientTrace, _ int) error {
	trace.DNSStart(httptrace.DNSStartInfo{Host: "shop.test"})
	time.Sleep(lookUp)
	trace.DNSDone(httptrace.DNSDoneInfo{})
	trace.ConnectStart("tcp", "192.0.2.1:443")
	time.Sleep(connect)
	trace.ConnectDone("tcp", "192.0.2.1:443", nil)
	return nil
}

// bubble runs f in a synctest bubble, with a client on network n.
func bubble(t *testing.T, n network, f func(t *testing.T, client *http.Client)) {
	t.Helper()
	hooksReturn(t)
	if n.dial == nil {
		n.dial = plain
	}
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		config, pool := identity(t)
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				dials++
				if err := n.dial(ctx, hooks(ctx), dials); err != nil {
					return nil, err
				}
				client, server := net.Pipe()
				go answer(server, config)
				return client, nil
			},
		}
		defer transport.CloseIdleConnections()
		f(t, &http.Client{Transport: transport})
	})
}

// hooks are those of ctx's trace, and where it has none, one that does nothing.
func hooks(ctx context.Context) *httptrace.ClientTrace {
	return httptrace.ContextClientTrace(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) {},
		DNSStart:             func(httptrace.DNSStartInfo) {},
		DNSDone:              func(httptrace.DNSDoneInfo) {},
		ConnectStart:         func(string, string) {},
		ConnectDone:          func(string, string, error) {},
		TLSHandshakeStart:    func() {},
		TLSHandshakeDone:     func(tls.ConnectionState, error) {},
		GotFirstResponseByte: func() {},
	}))
}

// hooksReturn fails when a hook, or Phases, waits for ever: in a bubble, that
// would be the end of all tests.
func hooksReturn(t *testing.T) {
	t.Helper()
	ctx, rec := timing.Trace(t.Context())
	require.NotNil(t, ctx, "Trace returned no context")
	require.NotNil(t, rec, "Trace returned no Recorder")
	h := hooks(ctx)
	conn, _ := net.Pipe()
	now := ""
	done := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { done <- fault }()
		for _, call := range []struct {
			name string
			f    func()
		}{
			{"DNSStart", func() { h.DNSStart(httptrace.DNSStartInfo{Host: "shop.test"}) }},
			{"DNSDone", func() { h.DNSDone(httptrace.DNSDoneInfo{}) }},
			{"ConnectStart", func() { h.ConnectStart("tcp", "192.0.2.1:443") }},
			{"ConnectDone", func() { h.ConnectDone("tcp", "192.0.2.1:443", nil) }},
			{"TLSHandshakeStart", func() { h.TLSHandshakeStart() }},
			{"TLSHandshakeDone", func() { h.TLSHandshakeDone(tls.ConnectionState{}, nil) }},
			{"GotConn", func() { h.GotConn(httptrace.GotConnInfo{Conn: conn}) }},
			{"GotFirstResponseByte", func() { h.GotFirstResponseByte() }},
			{"Phases", func() { rec.Phases() }},
		} {
			now = call.name
			if fault = panics.In(call.f); fault != "" {
				return
			}
		}
	}()
	for range 100 { // a second in which this program runs: what the machine stands still does not count
		select {
		case fault := <-done:
			if fault != "" {
				require.Fail(t, fault, "%s panicked", now)
			}
			return
		case <-time.After(10 * ms):
		}
	}
	require.Fail(t, "nothing happened for a second", "a hook, or Phases, has not returned: does it lock what is locked already?")
}

// one makes one request on network n.
func one(t *testing.T, n network) (p timing.Phases) {
	t.Helper()
	bubble(t, n, func(t *testing.T, client *http.Client) {
		var err error
		p, err = request(client)
		require.NoError(t, err)
	})
	return p
}

// request makes a request, 5 ms after it was traced.
func request(client *http.Client) (timing.Phases, error) {
	ctx, rec := timing.Trace(context.Background())
	time.Sleep(5 * ms)
	err := get(ctx, client)
	return rec.Phases(), err
}

func get(ctx context.Context, client *http.Client) error {
	return getURL(ctx, client, "https://shop.test/")
}

// getURL makes a request, and reads the answer to its end.
func getURL(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// answer is the server: it takes its time for everything.
func answer(conn net.Conn, config *tls.Config) {
	defer conn.Close()
	time.Sleep(handshake)
	secure := tls.Server(conn, config)
	in := bufio.NewReader(secure)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		time.Sleep(work)
		fmt.Fprint(secure, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
		time.Sleep(transfer)
		fmt.Fprint(secure, "-rest")
	}
}

// identity is what a server needs to be shop.test, and its clients to believe
// it, from now on: in a bubble it is the year 2000.
func identity(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	authority, err := certificate.NewAuthority(time.Now())
	require.NoError(t, err)
	cert, err := authority.Issue(time.Now(), "shop.test")
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(authority.Certificate)
	return &tls.Config{Certificates: []tls.Certificate{*cert}}, pool
}
