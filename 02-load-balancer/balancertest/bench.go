package balancertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bench is what a case works with.
type bench struct {
	tester
	start func(t testing.TB, backends []string) (addr string)
}

// rig is a balancer in front of backends, named a, b, c.
type rig struct {
	*bench
	addr     string
	backends map[string]*backend
	client   *http.Client
}

// over puts a balancer in front of backends that answer by handlers.
func (b *bench) over(handlers ...http.HandlerFunc) *rig {
	b.Helper()
	r := &rig{bench: b, backends: map[string]*backend{}}
	var addrs []string
	for i, handler := range handlers {
		name := string(rune('a' + i))
		r.backends[name] = serve(b, name, handler)
		addrs = append(addrs, r.backends[name].addr)
	}
	r.addr = b.start(b, addrs)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: b.patience()}
	b.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Timeout: b.patience(), Transport: transport}
	return r
}

// backend is an HTTP server that can be killed and started again. Its checks
// are no business of its handler.
type backend struct {
	name, addr string
	sick       atomic.Bool // checks are answered 503

	handler http.Handler
	server  *http.Server
	ended   chan struct{}
}

func serve(t testing.TB, name string, handler http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{name: name}
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			handler(w, r)
		} else if b.sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	ln := listen(t)
	b.addr = ln.Addr().String()
	b.serve(ln)
	t.Cleanup(b.close)
	return b
}

// ports are those of backends: below what systems choose for "port 0", and what
// package peer chooses, so that nobody is given a backend's while it is dead.
var ports struct {
	sync.Mutex
	last int // guarded; from 0, of the 10,000 from 10000 on
}

func init() { ports.last = rand.IntN(10_000) } // another process has other backends

// listen is at an address that was nobody's before.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	var err error
	for range 100 {
		ports.last = (ports.last + 1) % 10_000
		var ln net.Listener
		if ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+ports.last)); err == nil {
			return ln
		}
	}
	require.NoError(t, err)
	return nil
}

func (b *backend) serve(ln net.Listener) {
	b.server = &http.Server{Handler: b.handler, ErrorLog: log.New(io.Discard, "", 0)}
	b.ended = make(chan struct{})
	go func() {
		defer close(b.ended)
		_ = b.server.Serve(ln) // ends by Close
	}()
}

// kill ends it, as SIGKILL would: what runs is cut.
func (b *backend) kill() {
	b.close()
	refused(b.addr)
}

func (b *backend) close() {
	_ = b.server.Close()
	<-b.ended
}

// refused waits until nobody can connect to addr, where a listener was closed. A
// process that is being started has a copy of it, for the moment from its fork to
// its exec, and the kernel goes on taking connections.
func refused(addr string) {
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// revive starts it again, where it was.
func (b *backend) revive(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", b.addr)
	require.NoError(t, err)
	b.serve(ln)
}

// says answers with a name.
func says(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }
}

// request makes one to the balancer.
func (r *rig) request(method, path string, body io.Reader) *http.Request {
	r.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, body)
	require.NoError(r, err)
	return req
}

// answer is an answer that was read to its end.
type answer struct {
	*http.Response
	text string
	err  error // of the request, or of the body
}

// do sends req, from any goroutine.
func (r *rig) do(req *http.Request) answer {
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{&http.Response{}, "", err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp, string(text), err}
}

// get asks for the page, and fails unless it is answered well.
func (r *rig) get(why string) string {
	r.Helper()
	got := r.do(r.request(http.MethodGet, "/", nil))
	require.NoError(r, got.err, why)
	require.Equal(r, http.StatusOK, got.StatusCode, "%s; it says %q", why, got.text)
	return got.text
}

// tally counts what n requests in turn are answered.
func (r *rig) tally(n int, why string) map[string]int {
	r.Helper()
	got := map[string]int{}
	for range n {
		got[r.get(why)]++
	}
	return got
}

// eventually waits until it is so.
func eventually(t tester, so func() bool, why string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(t.patience()); time.Now().Before(deadline); <-tick.C {
		if so() {
			return
		}
	}
	require.Fail(t, fmt.Sprintf("not within %v: %s", t.patience(), why))
}

// conn is a client's connection, by hand.
type conn struct {
	*net.TCPConn
	in *bufio.Reader
	t  tester
}

// dial connects to addr, for as long as the test lasts.
func dial(t tester, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(t.patience())))
	return &conn{c.(*net.TCPConn), bufio.NewReader(c), t}
}

// send writes lines, each with its CRLF, and an empty one.
func (c *conn) send(lines ...string) {
	c.t.Helper()
	_, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(c.t, err)
}

// answer reads the header of an answer.
func (c *conn) answer(why string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err, why)
	return resp
}

// rest is what comes until the other side is done.
func (c *conn) rest(why string) string {
	c.t.Helper()
	text, err := io.ReadAll(c.in)
	require.NoError(c.t, err, "%s; until then came %q", why, text)
	return string(text)
}

// await takes what comes out of c.
func await[T any](t tester, c <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(t.patience()):
		require.Fail(t, fmt.Sprintf("not within %v: %s", t.patience(), why))
	}
	return v
}

// gate is opened once.
type gate struct {
	c    chan struct{}
	once sync.Once
}

// newGate is open at the end of t: nobody waits longer than that.
func newGate(t testing.TB) *gate {
	g := &gate{c: make(chan struct{})}
	t.Cleanup(g.open)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

// wait waits for the gate, or the end of ctx.
func (g *gate) wait(ctx context.Context) {
	select {
	case <-g.c:
	case <-ctx.Done():
	}
}
