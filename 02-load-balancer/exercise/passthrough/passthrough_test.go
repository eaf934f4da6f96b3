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
		question, answer := bytes.Repeat([]byte("one soup"), much/8), bytes.Repeat([]byte("go away "), much/8)
		got := make(chan bool, 2)
		for _, side := range []struct {
			conn        net.Conn
			says, hears []byte
		}{{j.client, question, answer}, {j.backend, answer, question}} {
			go func() {
				side.conn.Write(side.says)
			}()
			go func() {
				read := make([]byte, much)
				io.ReadFull(side.conn, read)
				got <- bytes.Equal(side.hears, read)
			}()
		}
		for range 2 {
			same := await(t, j, got, "client and backend send 8 MiB each, at the same time, and read what the other sends: it must arrive. Neither direction may wait for the other's end, so each is copied in a goroutine of its own")
			assert.True(t, same, "client and backend send 8 MiB each, at the same time, and what arrived is not what was sent. Does each direction have a buffer of its own?")
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

	t.Run("carries_what_comes_with_the_end", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			e := memory(t)
			e.a = &faulty{duplex: e.a.(*duplex), last: true}
			j := join(t, e, time.Minute)
			go io.WriteString(j.client, "one soup")
			got := await(t, j, reads(j.backend), "the client has sent something, and is done: the backend must read that, and io.EOF")
			assert.Equal(t, "one soup", got, "the last Read of the client's connection returned 8 octets and io.EOF at once, as an io.Reader may and crypto/tls does: the octets come first, and must arrive")
		})
	})

	t.Run("ends_both_when_one_fails", func(t *testing.T) {
		broken := errors.New("the cable was pulled")
		for _, row := range []struct {
			what                             string
			readErr, writeErr, closeWriteErr error
		}{
			{"reading from it", broken, nil, nil},
			{"writing to its other side", nil, broken, nil},
			{"CloseWrite of its other side", nil, nil, broken},
		} {
			for _, side := range []string{"client", "backend"} {
				e := memory(t)
				from := &faulty{readErr: row.readErr, slow: true}
				to := &faulty{writeErr: row.writeErr, closeWriteErr: row.closeWriteErr, slow: true}
				sender, other := e.client, e.backend
				if side == "client" {
					from.duplex, to.duplex = e.a.(*duplex), e.b.(*duplex)
					e.a, e.b = from, to
				} else {
					from.duplex, to.duplex = e.b.(*duplex), e.a.(*duplex)
					e.b, e.a = from, to
					sender, other = e.backend, e.client
				}
				j := join(t, e, long)
				go io.WriteString(other, "something long")         // the sender does not take it
				for n := 0; from.busy.Load() < 2 && n < 100; n++ { // its Read and its Write
					time.Sleep(time.Millisecond)
				}
				if row.closeWriteErr != nil {
					sender.CloseWrite()
				} else {
					go io.WriteString(sender, "one soup")
				}
				const rule = "the %s sends something, or is done, and %s fails. The other direction is stuck in Write, since the %s takes nothing. Join must close both at once"
				await(t, j, j.returned, rule, side, row.what, side)
				require.Zero(t, from.busy.Load()+to.busy.Load(), rule+", and wait for the other direction's copier: it is still in a Read or Write, and Join has returned", side, row.what, side)
				require.ErrorIs(t, j.err, broken, rule+", and return that error, wrapped. What the other direction says of the closing is not the cause", side, row.what, side)
				j.closedBoth(t)
			}
		}
	})

	t.Run("ends_when_it_is_closed_from_outside", func(t *testing.T) {
		for _, side := range []string{"a", "b"} {
			j := join(t, tcp(t), long)
			j.carries(t, j.client, j.backend, "one soup\n", "the client sends something")
			map[string]net.Conn{"a": j.a, "b": j.b}[side].Close()
			await(t, j, j.returned, "connection %s was closed from outside, to end it: Join must return", side)
			require.Error(t, j.err, "connection %s was closed from outside, and neither client nor backend had said that it was done: that is no good end, and the error must say so", side)
			require.NotErrorIs(t, j.err, passthrough.ErrIdle, "connection %s was closed from outside, long before it had idled for 1m", side)
			j.closedBoth(t)
		}
	})

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
				j.carries(t, silent, busy, "one film, please\n", "the "+side+" sends something")
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

	t.Run("leaves_no_timer_behind", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			e := memory(t)
			a, b := &faulty{duplex: e.a.(*duplex)}, &faulty{duplex: e.b.(*duplex)}
			e.a, e.b = a, b
			j := join(t, e, time.Minute)
			j.client.CloseWrite()
			j.backend.CloseWrite()
			await(t, j, j.returned, "client and backend have both said that they are done: Join must return")
			synctest.Wait()
			was := a.closes.Load() + b.closes.Load()
			require.NotZero(t, was, "Join has returned: both connections must be closed")
			time.Sleep(10 * time.Minute)
			assert.Equal(t, was, a.closes.Load()+b.closes.Load(), "idle is 1m. Join has returned, and within ten minutes Close was called again: a timer was left running, and it holds both connections until then. Stop it")
		})
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

func (d *duplex) inBubble() bool { return true }

// faulty is a connection with what its fields say.
type faulty struct {
	*duplex
	readErr, writeErr, closeWriteErr error // of Read once something arrives, of Write, of CloseWrite
	last                             bool  // what arrives first is the last, and its Read says so
	slow                             bool  // Close takes 10 ms, and to notice it 15
	closes                           atomic.Int64
	busy                             atomic.Int64 // calls of Read and Write that have not returned
}

func (f *faulty) inBubble() bool { return !f.slow }

// notice returns what a Read or Write does, which takes time where the
// connection was closed meanwhile.
func (f *faulty) notice(n int, err error) (int, error) {
	if f.slow && f.closes.Load() > 0 {
		time.Sleep(15 * time.Millisecond)
	}
	return n, err
}

func (f *faulty) Read(p []byte) (int, error) {
	f.busy.Add(1)
	defer f.busy.Add(-1)
	n, err := f.notice(f.duplex.Read(p))
	switch {
	case err == nil && f.readErr != nil:
		return 0, f.readErr
	case err == nil && f.last:
		return n, io.EOF
	}
	return n, err
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.writeErr != nil && f.closes.Load() == 0 {
		return 0, f.writeErr
	}
	f.busy.Add(1)
	defer f.busy.Add(-1)
	return f.notice(f.duplex.Write(p))
}

func (f *faulty) CloseWrite() error {
	if f.closeWriteErr != nil {
		return f.closeWriteErr
	}
	return f.duplex.CloseWrite()
}

func (f *faulty) Close() error {
	first := f.closes.Add(1) == 1
	err := f.duplex.Close()
	if f.slow && first {
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

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
	defer func() {
		if p := recover(); p != nil {
			require.Fail(t, "left behind", "Join has returned, and a goroutine that it started waits for something that never comes (%v). A channel that nobody receives from any more needs room for all that is sent to it", p)
		}
	}()
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
	if conn, ok := j.a.(interface{ inBubble() bool }); ok && conn.inBubble() {
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
