package balancertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/proxyproto"
)

// tcpCase is one case of RunTCP.
type tcpCase struct {
	named
	run func(b *tcpBench)
}

var overTCP = []tcpCase{
	{named{"carries_both_ways", "what one side sends reaches the other"}, carries},
	{named{"carries_both_ways_at_once", "neither way waits for the other's end"}, carriesAtOnce},
	{named{"passes_TLS_unopened", "TLS is between the two ends: the name, the certificate and ALPN are theirs"}, passesTLS},
	{named{"lets_the_client_be_done_first", "the end of one direction is not the end of the connection (RFC 9293 §3.6)"}, clientDone},
	{named{"lets_the_backend_be_done_first", "the end of one direction is not the end of the connection (RFC 9293 §3.6)"}, backendDone},
	{named{"ends_with_its_backend", "a client whose backend has died waits for nothing"}, backendDies},
	{named{"gives_each_its_turn", "turns are fair: n connections for k backends are n/k for each, give or take one"}, tcpTurns},
	{named{"dials_another_when_one_is_dead", "nothing was sent, so another one may have the connection"}, dialsAnother},
	{named{"uses_a_backend_that_was_dead", "a backend that is back gets its turns again"}, tcpUsesAgain},
	{named{"closes_at_once_when_all_are_dead", "a client that waits learns nothing, and one that is closed can go elsewhere"}, tcpAllDead},
	{named{"says_who_the_client_is", "a PROXY header comes first, with the addresses of the connection that was accepted (the PROXY protocol, section 2.2)"}, proxyHeader},
}

// tcpBench is what a case works with.
type tcpBench struct {
	tester
	start func(t testing.TB, backends []string, proxyHeader bool) (addr string)
}

// over puts a balancer in front of backends.
func (b *tcpBench) over(backends ...*tcpBackend) (addr string) {
	b.Helper()
	var addrs []string
	for _, backend := range backends {
		addrs = append(addrs, backend.addr)
	}
	return b.start(b, addrs, false)
}

// tcpBackend is a server that can be ended and started again.
type tcpBackend struct {
	addr   string
	handle func(*net.TCPConn)

	ln      net.Listener
	running sync.WaitGroup
}

// backend starts one, which calls handle for each connection, and closes it
// then. A connection that sends nothing is a check.
func (b *tcpBench) backend(handle func(*net.TCPConn)) *tcpBackend {
	b.Helper()
	backend := &tcpBackend{handle: handle, ln: listen(b)}
	backend.addr = backend.ln.Addr().String()
	backend.serve()
	b.Cleanup(backend.close)
	return backend
}

func (b *tcpBackend) serve() {
	b.running.Go(func() {
		for {
			conn, err := b.ln.Accept()
			if err != nil {
				return
			}
			b.running.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(longest)) // fails where reading does
				b.handle(conn.(*net.TCPConn))
			})
		}
	})
}

// end closes its listener, and waits until its connections have ended.
func (b *tcpBackend) end() {
	b.close()
	refused(b.addr)
}

func (b *tcpBackend) close() {
	_ = b.ln.Close()
	b.running.Wait()
}

// revive starts it again, where it was.
func (b *tcpBackend) revive(t testing.TB) {
	t.Helper()
	var err error
	b.ln, err = net.Listen("tcp", b.addr)
	require.NoError(t, err)
	b.serve()
}

// saysTCP answers each line with a name.
func saysTCP(name string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			fmt.Fprint(conn, name)
		}
	}
}

// ask is what a new connection is told, "" where it is told nothing and closed.
func ask(t tester, addr string) string {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	_, _ = io.WriteString(c, "?") // a connection that is closed at once may take it or not
	text, err := io.ReadAll(c.in)
	if timeout, is := err.(net.Error); is && timeout.Timeout() {
		require.Fail(t, fmt.Sprintf("not within %v: a connection is told something, or closed", t.patience()))
	}
	return string(text)
}

// tcpTally counts what n connections in turn are told.
func tcpTally(t tester, addr string, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		got[ask(t, addr)]++
	}
	return got
}

func echo(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) }

func carries(b *tcpBench) {
	c := dial(b, b.over(b.backend(echo)))
	for _, text := range []string{"one soup", "one more"} {
		_, err := io.WriteString(c, text)
		require.NoError(b, err)
		c.hears(text, "the backend sends back what it gets")
	}
}

func carriesAtOnce(b *tcpBench) {
	const size = 16 << 20 // more than the kernel keeps for either
	both := func(conn io.ReadWriter, sum chan<- int64) {
		var writing sync.WaitGroup
		writing.Go(func() { _, _ = io.Copy(conn, pattern(size)) })
		n, _ := io.CopyN(io.Discard, conn, size)
		writing.Wait()
		sum <- n
	}
	sums := make(chan int64, 9)
	c := dial(b, b.over(b.backend(func(conn *net.TCPConn) { both(conn, sums) })))
	go both(c.TCPConn, sums)
	for got := 0; got < 2; {
		if n := await(b, sums, "client and backend each send 16 MiB, and read what the other sends"); n > 0 { // otherwise it was a check
			assert.EqualValues(b, size, n, "octets that arrived at one end")
			got++
		}
	}
}

func passesTLS(b *tcpBench) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	b.Cleanup(server.Close)
	c := dial(b, b.start(b, []string{server.Listener.Addr().String()}, false))
	client := &http.Client{Timeout: b.patience(), Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return c.TCPConn, nil },
	}}
	resp, err := client.Get("https://example.com/") // a name in httptest's certificate
	require.NoError(b, err, "the certificate is the backend's own")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	assert.Equal(b, "HTTP/2.0 example.com", string(text), "what the two agree on in their handshake")
	c.Close()
}

func clientDone(b *tcpBench) {
	c := dial(b, b.over(b.backend(func(conn *net.TCPConn) {
		text, _ := io.ReadAll(conn) // to the client's FIN
		fmt.Fprintf(conn, "you said %q", text)
	})))
	_, err := io.WriteString(c, "one soup")
	require.NoError(b, err)
	require.NoError(b, c.CloseWrite())
	assert.Equal(b, `you said "one soup"`, c.rest("the client is done sending, and reads"))
}

func backendDone(b *tcpBench) {
	heard := make(chan string, 9)
	c := dial(b, b.over(b.backend(func(conn *net.TCPConn) {
		fmt.Fprint(conn, "that is all")
		_ = conn.CloseWrite()
		text, _ := io.ReadAll(conn)
		if len(text) > 0 { // otherwise it was a check
			heard <- string(text)
		}
	})))
	assert.Equal(b, "that is all", c.rest("the backend is done sending, and says so"))
	for _, text := range []string{"one soup, ", "and more"} {
		_, err := io.WriteString(c, text)
		require.NoError(b, err, "the backend is done sending, and reads")
	}
	require.NoError(b, c.CloseWrite())
	assert.Equal(b, "one soup, and more", await(b, heard, "what the client sends arrives"))
}

func backendDies(b *tcpBench) {
	c := dial(b, b.over(b.backend(func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.SetLinger(0) // closed then, it is reset, as when a process is killed
	})))
	_, err := io.WriteString(c, "?")
	require.NoError(b, err)
	_, err = io.ReadAll(c.in)
	timeout, is := err.(net.Error)
	assert.False(b, is && timeout.Timeout(), "the backend's end of the connection was reset: the client's ends, too")
}

func tcpTurns(b *tcpBench) {
	addr := b.over(b.backend(saysTCP("a")), b.backend(saysTCP("b")), b.backend(saysTCP("c")))
	got := tcpTally(b, addr, 30)
	for _, name := range []string{"a", "b", "c"} {
		// Who waited for the balancer to listen may have taken a turn.
		assert.InDelta(b, 10, got[name], 1, "30 connections, one after the other: %v", got)
	}
}

func dialsAnother(b *tcpBench) {
	mortal := b.backend(saysTCP("b"))
	addr := b.over(b.backend(saysTCP("a")), mortal)
	mortal.end()
	assert.Equal(b, map[string]int{"a": 12}, tcpTally(b, addr, 12), "b is dead, a lives")
}

func tcpUsesAgain(b *tcpBench) {
	mortal := b.backend(saysTCP("b"))
	addr := b.over(b.backend(saysTCP("a")), mortal)
	mortal.end()
	assert.Equal(b, map[string]int{"a": 2}, tcpTally(b, addr, 2), "b is dead, a lives")
	mortal.revive(b)
	eventually(b, func() bool { return tcpTally(b, addr, 2)["b"] > 0 }, "b was dead, and is back: it gets its turn")
}

func tcpAllDead(b *tcpBench) {
	mortal := []*tcpBackend{b.backend(saysTCP("a")), b.backend(saysTCP("b"))}
	addr := b.over(mortal...)
	for _, backend := range mortal {
		backend.end()
	}
	assert.Equal(b, map[string]int{"": 5}, tcpTally(b, addr, 5), "all backends are dead")
	for _, backend := range mortal {
		backend.revive(b)
	}
	eventually(b, func() bool { return ask(b, addr) != "" }, "the backends are back, and answer")
}

func proxyHeader(b *tcpBench) {
	type seen struct{ remote, local, text string }
	heard := make(chan seen, 99)
	ln, err := proxyproto.Listen(listen(b), longest)
	require.NoError(b, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				p := make([]byte, 8)
				if n, _ := io.ReadFull(conn, p); n > 0 { // otherwise it was a check
					heard <- seen{conn.RemoteAddr().String(), conn.LocalAddr().String(), string(p[:n])}
					_, _ = io.WriteString(conn, "done")
				}
			})
		}
	})
	b.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	addr := b.start(b, []string{ln.Addr().String()}, true)
	c := dial(b, addr)
	_, err = io.WriteString(c, "one soup")
	require.NoError(b, err)
	assert.Equal(b, seen{c.LocalAddr().String(), addr, "one soup"}, await(b, heard, "the backend is asked"), "who the client is, where it connected to, and what comes behind the header")
	assert.Equal(b, "done", c.rest("the backend's answer"))
}
