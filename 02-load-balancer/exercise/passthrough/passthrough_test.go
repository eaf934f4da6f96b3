package passthrough_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/exercise/passthrough"
)

// long is an idle time that is not meant to pass.
const long = time.Minute

func TestJoin(t *testing.T) {
	t.Run("carries_bytes_both_ways", func(t *testing.T) {
		j := join(t, tcp(t), long)
		for range 3 {
			j.carries(t, j.client, j.backend, "one soup\n", "what the client sends must reach the backend")
			j.carries(t, j.backend, j.client, "your soup\n", "what the backend sends must reach the client")
		}
	})

	t.Run("carries_both_ways_at_once", func(t *testing.T) {
		j := join(t, tcp(t), long)
		const much = 8 << 20 // more than the kernel takes for either
		got := make(chan int64, 2)
		for _, conn := range []net.Conn{j.client, j.backend} {
			go func() {
				conn.Write(make([]byte, much))
			}()
			go func() {
				n, _ := io.CopyN(io.Discard, conn, much)
				got <- n
			}()
		}
		for range 2 {
			n := await(t, j, got, "client and backend send 8 MiB each, at the same time, and read what the other sends: it must arrive. Neither direction may wait for the other's end, so each is copied in a goroutine of its own")
			assert.EqualValues(t, much, n, "octets that arrived")
		}
	})

	t.Run("tells_that_one_side_is_done", func(t *testing.T) {
		for _, side := range []string{"client", "backend"} {
			j := join(t, tcp(t), long)
			from, to := j.client, j.backend
			if side == "backend" {
				from, to = to, from
			}
			j.carries(t, from, to, "all that I have to say\n", "the "+side+" sends something")
			require.NoError(t, from.CloseWrite())
			n := await(t, j, reads(to), "the %s has sent all, and said so (CloseWrite, a FIN on the wire): its other side must read io.EOF. Without that, whoever answers at the end of the question waits for ever (RFC 9293 §3.6)", side)
			assert.Equal(t, "", n, "nothing more was sent")
		}
	})

	t.Run("lets_the_other_side_go_on", func(t *testing.T) {
		for _, side := range []string{"client", "backend"} {
			j := join(t, tcp(t), long)
			done, other := j.client, j.backend
			if side == "backend" {
				done, other = other, done
			}
			j.carries(t, done, other, "all that I have to say\n", "the "+side+" sends something")
			require.NoError(t, done.CloseWrite())
			await(t, j, reads(other), "the %s is done: its other side must read io.EOF", side)
			j.carries(t, other, done, "the answer\n", fmt.Sprintf("the %s has sent all, and still reads: its other side has an answer for it, which must arrive. The end of one direction is not the end of the connection, which has two (RFC 9293 §3.6)", side))
			select {
			case <-j.returned:
				require.Fail(t, "returned too early", "only the %s is done, the other side goes on sending, and Join returned (%v). It returns when both are done: until then a copier is at work that nobody waits for", side, j.err)
			case <-time.After(30 * time.Millisecond): // long enough to do what is wrong
			}
			j.carries(t, other, done, "and more\n", "the "+side+" is done, its other side goes on sending, and that must arrive")
		}
	})

	t.Run("returns_when_both_are_done", func(t *testing.T) { bothDone(t) })

	t.Run("ends_both_when_one_breaks", func(t *testing.T) { breaks(t) })

	t.Run("cuts_what_idles", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			j := join(t, memory(t), time.Minute)
			for range 2 {
				time.Sleep(50 * time.Second)
				const why = "idle is 1m, and 50 s ago both sides sent something, or the connection was made: that is not idle"
				j.carries(t, j.client, j.backend, "one soup\n", why)
				j.carries(t, j.backend, j.client, "your soup\n", why)
			}
			began := time.Now()
			await(t, j, j.returned, "idle is 1m, and nothing was sent any more: Join must return. Phones that lost their network say no good-bye, and each holds two connections here until somebody cuts them")
			assert.Equal(t, time.Minute, time.Since(began), "from the last octet to the cut: idle is 1m")
			assert.ErrorIs(t, j.err, passthrough.ErrIdle, "the error must say why it was cut")
			j.closedBoth(t)
		})
	})

	t.Run("lets_one_side_be_silent", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			for _, side := range []string{"client", "backend"} {
				j := join(t, memory(t), time.Minute)
				silent, busy := j.client, j.backend
				if side == "backend" {
					silent, busy = busy, silent
				}
				for i := range 10 {
					time.Sleep(40 * time.Second)
					j.carries(t, busy, silent, "a piece\n", fmt.Sprintf("idle is 1m. For %d s the %s has been silent, and its other side sent something every 40 s: a long download is not idle. What counts is both directions together", 40*(i+1), side))
				}
				busy.Close()
				silent.Close()
				await(t, j, j.returned, "both sides have closed: Join must return")
			}
		})
	})

	t.Run("cuts_a_backend_that_never_answers", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			j := join(t, memory(t), time.Minute)
			j.carries(t, j.client, j.backend, "one soup\n", "the client sends something")
			require.NoError(t, j.client.CloseWrite())
			began := time.Now()
			await(t, j, j.returned, "idle is 1m. The client is done and waits, and the backend never answers: Join must cut that, also when one direction has ended before")
			assert.Equal(t, time.Minute, time.Since(began), "from the last octet to the cut: idle is 1m")
			assert.ErrorIs(t, j.err, passthrough.ErrIdle)
		})
	})

	t.Run("cuts_a_client_that_reads_nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			j := join(t, memory(t), time.Minute)
			go j.backend.Write([]byte("your soup")) // over net.Pipe a write waits until all is read
			began := time.Now()
			await(t, j, j.returned, "idle is 1m. The backend has sent something, and the client takes nothing: the copier is stuck in Write, and Join must cut that, too")
			assert.Equal(t, time.Minute, time.Since(began), "from the last octet to the cut: idle is 1m")
			assert.ErrorIs(t, j.err, passthrough.ErrIdle)
		})
	})

	t.Run("carries_TLS_end_to_end", func(t *testing.T) {
		backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body)
		}))
		defer backend.Close()
		roots := x509.NewCertPool()
		roots.AddCert(backend.Certificate())

		e := tcp(t)
		toBackend, err := net.Dial("tcp", backend.Listener.Addr().String())
		require.NoError(t, err)
		e.b = toBackend.(passthrough.Conn)
		wire := &tap{Conn: e.b}
		e.b = wire
		j := join(t, e, long)
		secure := tls.Client(j.client, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		secure.SetDeadline(time.Now().Add(2 * time.Second))
		require.NoError(t, secure.Handshake(), "the client and the backend shake hands with TLS through Join, which carries their octets as they are: the backend's certificate must arrive, and be verified")
		req, err := http.NewRequest(http.MethodPost, "https://example.com/orders", bytes.NewReader([]byte("a secret order")))
		require.NoError(t, err)
		transport := &http.Transport{DialTLS: func(string, string) (net.Conn, error) { return secure, nil }, DisableKeepAlives: true}
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err, "POST over TLS, through Join")
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "a secret order", string(text), "the backend sends back what it got")
		assert.NotContains(t, wire.seen(), "secret", "what went to the backend: the balancer has no key, so it must be unreadable to it")
	})

	t.Run("leaves_no_goroutine_behind", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		bothDone(t)
		breaks(t)
		j := join(t, tcp(t), 20*time.Millisecond)
		await(t, j, j.returned, "idle is 20ms, and nothing was sent: Join must return")
		assert.NoError(t, goleak.Find(before), "three pairs of connections have ended, done, broken and idle, and Join has returned: all goroutines that it started must have ended. One that is left waits in Read or for a channel, and holds its buffer and a descriptor as long as this process lives")
	})

	t.Run("refuses_an_idle_time_of_zero", func(t *testing.T) {
		for _, bad := range []time.Duration{0, -time.Second} {
			j := join(t, tcp(t), bad)
			await(t, j, j.returned, "idle is %v: that must be refused", bad)
			require.Error(t, j.err, "idle is %v: nothing could ever be carried", bad)
			j.closedBoth(t)
		}
		j := join(t, tcp(t), long)
		j.carries(t, j.client, j.backend, "one soup\n", "idle is 1m: the client's octets must arrive")
	})
}

// bothDone fails unless Join returns, without an error, when both are done.
func bothDone(t *testing.T) {
	t.Helper()
	j := join(t, tcp(t), long)
	j.carries(t, j.client, j.backend, "one soup\n", "the client sends something")
	require.NoError(t, j.client.CloseWrite())
	await(t, j, reads(j.backend), "the client is done: the backend must read io.EOF")
	j.carries(t, j.backend, j.client, "your soup\n", "the client is done, and waits for its answer")
	require.NoError(t, j.backend.CloseWrite())
	await(t, j, reads(j.client), "the backend is done: the client must read io.EOF")
	await(t, j, j.returned, "client and backend have both said that they are done: Join must return")
	assert.NoError(t, j.err, "client and backend were done: that is how it should end")
	j.closedBoth(t)
}

// breaks fails unless Join ends when one of the connections does.
func breaks(t *testing.T) {
	t.Helper()
	for _, side := range []string{"backend", "client"} {
		j := join(t, tcp(t), long)
		broken, other := j.backend, j.client
		if side == "client" {
			broken, other = other, broken
		}
		j.carries(t, j.client, j.backend, "one soup\n", "the client sends something")
		require.NoError(t, broken.(*net.TCPConn).SetLinger(0)) // Close sends a RST, as a process that is killed does with unread data
		broken.Close()
		await(t, j, j.returned, "the %s's connection broke (a RST, no FIN). The other side is silent and waits, and nothing will ever come: Join must close both, and return at once. The copier of the other direction only notices when its connection is closed", side)
		require.Error(t, j.err, "the %s's connection broke, and that is no good end: the error must say so", side)
		await(t, j, reads(other), "the %s's connection broke: the other side must be hung up on", side)
		j.closedBoth(t)
	}
}

// ends is a client and a backend, and the connections in between: client to a,
// b to backend.
type ends struct{ client, a, b, backend passthrough.Conn }

// tcp is ends over loopback, closed with the test.
func tcp(t *testing.T) ends {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	var pairs [2][2]passthrough.Conn
	for i := range pairs {
		here, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { here.Close() })
		there, err := ln.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { there.Close() })
		pairs[i] = [2]passthrough.Conn{here.(passthrough.Conn), there.(passthrough.Conn)}
	}
	return ends{pairs[0][0], pairs[0][1], pairs[1][0], pairs[1][1]}
}

// memory is ends in memory, for synctest, closed with the test.
func memory(t *testing.T) ends {
	pair := func() (passthrough.Conn, passthrough.Conn) {
		r, w := net.Pipe()
		r2, w2 := net.Pipe()
		here, there := &duplex{Conn: r, w: w2}, &duplex{Conn: r2, w: w}
		t.Cleanup(func() {
			here.Close()
			there.Close()
		})
		return here, there
	}
	client, a := pair()
	b, backend := pair()
	return ends{client, a, b, backend}
}

// duplex is a connection of two pipes, one a direction. It reads from the
// embedded one.
type duplex struct {
	net.Conn
	w       net.Conn
	failing atomic.Int64
}

func (d *duplex) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if err != nil && d.failing.Add(1) > 1000 {
		runtime.Goexit() // whoever goes on reading after so many errors would never stop
	}
	return n, err
}

func (d *duplex) Write(p []byte) (int, error) { return d.w.Write(p) }
func (d *duplex) CloseWrite() error           { return d.w.Close() }
func (d *duplex) Close() error                { return errors.Join(d.Conn.Close(), d.w.Close()) }

func (d *duplex) SetDeadline(at time.Time) error {
	return errors.Join(d.Conn.SetReadDeadline(at), d.w.SetWriteDeadline(at))
}
func (d *duplex) SetReadDeadline(at time.Time) error  { return d.Conn.SetReadDeadline(at) }
func (d *duplex) SetWriteDeadline(at time.Time) error { return d.w.SetWriteDeadline(at) }

// tap notes what is written.
type tap struct {
	passthrough.Conn
	mu      sync.Mutex // guards written
	written []byte
}

func (c *tap) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.written = append(c.written, p...)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *tap) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.written)
}

// joined is a Join at work.
type joined struct {
	ends
	returned chan struct{} // closed when Join has come back
	err      error         // with this
}

func join(t *testing.T, e ends, idle time.Duration) *joined {
	j := &joined{ends: e, returned: make(chan struct{})}
	go func() {
		defer close(j.returned)
		defer func() {
			if p := recover(); p != nil {
				j.err = fmt.Errorf("Join panicked with %v", p)
			}
		}()
		j.err = passthrough.Join(e.a, e.b, idle)
	}()
	return j
}

// carries sends text, and fails unless it arrives.
func (j *joined) carries(t *testing.T, from, to net.Conn, text, why string) {
	t.Helper()
	got := make(chan string, 1)
	go func() { // both end at the latest with the connections, which are closed with the test
		if _, err := io.WriteString(from, text); err != nil {
			got <- fmt.Sprintf("(sending failed: %v)", err)
		}
	}()
	go func() {
		read := make([]byte, len(text))
		n, err := io.ReadFull(to, read)
		if err != nil {
			read = fmt.Appendf(read[:n], "(then %v)", err)
		}
		got <- string(read)
	}()
	require.Equal(t, text, await(t, j, got, "%s", why), why)
}

// closedBoth fails unless Join has closed both of its connections.
func (j *joined) closedBoth(t *testing.T) {
	t.Helper()
	for name, conn := range map[string]net.Conn{"a": j.a, "b": j.b} {
		_, err := conn.Write([]byte("x"))
		require.True(t, errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe), "Join has returned, and connection %s is still open (writing to it gives %v): it costs a descriptor until somebody closes it", name, err)
	}
}

// reads is what can be read from conn up to its end.
func reads(conn net.Conn) <-chan string {
	got := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(conn)
		got <- string(text)
	}()
	return got
}

// bubble runs f in a synctest bubble, where a Join that never comes back would
// be a panic. So this fails before, if Join is of that kind.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	bothDone(t)
	breaks(t)
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Minute) }) // runs last: ends what only waits for a time
		f(t)
	})
}

// await returns what arrives on event. It fails after two seconds of this
// program (in a bubble, after ten minutes), so that the time that a busy
// machine lets it stand still does not count; or once Join has returned.
func await[T any](t *testing.T, j *joined, event <-chan T, why string, args ...any) (v T) {
	t.Helper()
	tick, ticks := 10*time.Millisecond, 200
	if _, ok := j.a.(*duplex); ok {
		tick = 3 * time.Second
	}
	for n := range ticks {
		select {
		case v := <-event:
			return v
		case <-time.After(tick):
		}
		if n < 20 {
			continue // what arrived just before the end is on its way
		}
		select {
		case <-j.returned:
			require.Fail(t, "Join has returned", "%s. But Join has returned (%v)", fmt.Sprintf(why, args...), j.err)
		default:
		}
	}
	require.Fail(t, "nothing happened for two seconds", fmt.Sprintf(why, args...))
	return v
}
