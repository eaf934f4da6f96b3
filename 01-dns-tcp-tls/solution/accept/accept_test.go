package accept_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/solution/accept"
)

// long is a timeout that is not meant to pass.
const long = time.Minute

func TestServe(t *testing.T) {
	t.Run("hands_each_connection_to_the_handler", func(t *testing.T) {
		s := serve(t, tcp(t), 10, long, greet)
		for i := range 3 {
			conn := s.dial(t)
			assert.Equal(t, "hello ann\n", s.ask(t, conn, "connection %d, with 10 slots free, must reach handle", i+1))
		}
	})

	t.Run("closes_the_connection_after_the_handler", func(t *testing.T) {
		s := serve(t, tcp(t), 10, long, greet)
		conn := s.dial(t)
		s.ask(t, conn, "the first connection must reach handle")
		end := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			end <- err
		}()
		why := "handle has returned, so its connection must be closed: otherwise the client waits for more, and each connection costs a descriptor for ever"
		assert.ErrorIs(t, await(t, s, end, "%s", why), io.EOF, why)
	})

	t.Run("serves_others_while_one_client_is_slow", func(t *testing.T) {
		s := serve(t, tcp(t), 10, long, greet)
		s.dial(t) // sends nothing
		next := s.dial(t)
		assert.Equal(t, "hello ann\n", s.ask(t, next, "the client before this one sends nothing, and 9 of 10 slots are free. If handle runs in the accept loop itself, one slow client stops all"))
	})

	t.Run("frees_the_slot_of_a_connection_that_ended", func(t *testing.T) { freesSlots(t) })

	t.Run("returns_nil_once_the_listener_is_closed", func(t *testing.T) {
		s := serve(t, tcp(t), 10, long, greet)
		s.ask(t, s.dial(t), "the listener is open")
		s.closes(t)
		assert.NoError(t, s.err, "the listener was closed, as it is when a server is stopped: that is no error")
		assert.Less(t, len(s.ln.calls()), tooMany, "a closed listener stays closed: Accept must not be tried again")
	})

	t.Run("cuts_a_client_that_sends_nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cut := make(chan time.Duration, 2)
			s := serve(t, memory(), 1, 30*time.Second, func(conn net.Conn) {
				begin := time.Now()
				greet(conn)
				cut <- time.Since(begin)
			})
			s.dial(t) // sends nothing
			next := s.dial(t)
			time.Sleep(31 * time.Second)
			synctest.Wait()
			s.stillServes(t)
			require.Equal(t, 1, len(cut), "limit 1, timeout 30s: 31 s ago a client connected, and sent nothing since. It still holds the only slot, and nobody else is served. Without a deadline on the connection, one slow client stops all")
			assert.Equal(t, 30*time.Second, <-cut, "the client must be cut when its timeout is over")
			assert.Equal(t, "hello ann\n", s.ask(t, next, "the slow client was cut: the next one must be served"))
		})
	})

	t.Run("cuts_a_client_that_reads_nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cut := make(chan time.Duration, 1)
			s := serve(t, memory(), 1, 30*time.Second, func(conn net.Conn) {
				begin := time.Now()
				io.WriteString(conn, "a long menu") // over net.Pipe a write waits until it is read
				cut <- time.Since(begin)
			})
			s.dial(t)
			time.Sleep(31 * time.Second)
			synctest.Wait()
			s.stillServes(t)
			require.Equal(t, 1, len(cut), "limit 1, timeout 30s: for 31 s the handler has been writing to a client that does not read. The deadline must hold for writing, too: SetDeadline sets both")
			assert.Equal(t, 30*time.Second, <-cut, "the client must be cut when its timeout is over")
		})
	})

	t.Run("accepts_no_more_than_the_limit", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var entered atomic.Int32
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			defer open()
			s := serve(t, memory(), 2, long, func(net.Conn) {
				entered.Add(1)
				<-gate
			})
			for range 5 {
				s.dial(t)
			}
			synctest.Wait()
			s.stillServes(t)
			require.EqualValues(t, 2, entered.Load(), "limit 2, 5 clients: that many handlers run at the same time")
			require.Equal(t, 2, len(s.ln.calls()), "limit 2, and 2 connections are open. Serve called Accept once more: the third client then holds a descriptor, and waits in this process instead of in the kernel's backlog. Take the slot before you accept")
			gate <- struct{}{}
			synctest.Wait()
			require.EqualValues(t, 3, entered.Load(), "one of 2 handlers returned: the third client must be served now, and only that one")
			open()
			synctest.Wait()
			assert.EqualValues(t, 5, entered.Load(), "all handlers returned: the other clients must be served")
		})
	})

	t.Run("survives_a_handler_that_panics", func(t *testing.T) {
		// In a process of its own, because a panic that nobody recovers ends it.
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program) // it comes to an end by itself
		cmd.Env = append(os.Environ(), panicking+"=1", "GORACE=atexit_sleep_ms=0")
		out, _ := cmd.Output()
		assert.Contains(t, string(out), "the next one was served",
			"limit 1, and the first connection's handler panicked: the next connection must be served. A panic that is not recovered ends the whole program (call run), and one that jumps over the release takes the slot with it (defer it)")
	})

	t.Run("survives_running_out_of_descriptors", func(t *testing.T) { survivesFaults(t) })

	t.Run("waits_longer_after_each_error", func(t *testing.T) {
		survivesFaults(t)
		bubble(t, func(t *testing.T) {
			ln := memory()
			ln.fault = func(int) error { return emfile }
			s := serve(t, ln, 2*tooMany, long, greet)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			calls := s.ln.calls()
			require.Less(t, len(calls), 100, "for 10 s every Accept fails with EMFILE, and it was called that often (the test stops at %d): this loop spins, and takes the CPU from the handlers, whose end would free descriptors. Wait between two attempts", tooMany)
			s.stillServes(t)
			require.Greater(t, len(calls), 10, "for 10 s every Accept fails with EMFILE, and it was called that often: no wait is longer than MaxDelay, 1 s")
			var waits []time.Duration
			for i := range 10 {
				waits = append(waits, calls[i+1].Sub(calls[i]))
			}
			const ms = time.Millisecond
			assert.Equal(t, []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}, waits,
				"the waits between failed Accepts: MinDelay, then twice as long each time, up to MaxDelay")
		})
	})

	t.Run("starts_with_a_short_wait_after_a_success", func(t *testing.T) {
		survivesFaults(t)
		bubble(t, func(t *testing.T) {
			ln := memory()
			ln.fault = func(call int) error {
				if call == 6 {
					return nil
				}
				return emfile
			}
			s := serve(t, ln, 2*tooMany, long, func(net.Conn) {})
			s.dial(t)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			s.stillServes(t)
			calls := s.ln.calls()
			require.Greater(t, len(calls), 8, "for 10 s all but the sixth Accept fail, and it was called that often: no wait is longer than MaxDelay, 1 s")
			require.Equal(t, 80*time.Millisecond, calls[5].Sub(calls[4]), "the wait after the fifth error in a row")
			assert.Equal(t, accept.MinDelay, calls[7].Sub(calls[6]), "5 errors, a connection, then an error: the connection shows that the trouble is over, so the waits begin anew at MinDelay")
		})
	})

	t.Run("waits_for_the_handlers_before_it_returns", func(t *testing.T) {
		s := serve(t, tcp(t), 10, long, greet)
		s.ask(t, s.dial(t), "the listener is open")
		s.closes(t)
		bubble(t, func(t *testing.T) {
			entered, gate := make(chan struct{}, 1), make(chan struct{})
			s := serve(t, memory(), 2, long, func(net.Conn) {
				entered <- struct{}{}
				<-gate
			})
			defer close(gate)
			s.dial(t)
			await(t, s, entered, "the connection must reach handle")
			s.ln.Close()
			synctest.Wait()
			select {
			case <-s.returned:
				require.Fail(t, "returned too early", "the listener is closed, and a handler is still running: Serve returned %v. Whoever calls Serve ends the program then, and the handler's client never gets its answer", s.err)
			default:
			}
		})
	})

	t.Run("leaves_no_goroutine_behind", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		s := serve(t, tcp(t), 2, long, greet)
		for range 4 {
			conn := s.dial(t)
			s.ask(t, conn, "the listener is open")
			conn.Close()
		}
		s.closes(t)
		assert.NoError(t, goleak.Find(before), "4 connections were served, the listener is closed, Serve has returned: all goroutines that it started must have ended")
	})

	t.Run("refuses_a_limit_or_timeout_of_zero", func(t *testing.T) {
		for _, bad := range []struct {
			limit   int
			timeout time.Duration
		}{{0, long}, {-1, long}, {1, 0}, {1, -time.Second}} {
			s := serve(t, tcp(t), bad.limit, bad.timeout, greet)
			await(t, nil, s.returned, "limit %d, timeout %v must be refused", bad.limit, bad.timeout)
			require.Error(t, s.err, "limit %d, timeout %v: nobody could be served", bad.limit, bad.timeout)
		}
		s := serve(t, tcp(t), 1, long, greet)
		s.ask(t, s.dial(t), "limit 1 is a limit: one at a time")
	})
}

// bubble runs f in a synctest bubble, where a Serve that never comes back would
// be a panic. So this fails before, if Serve is of that kind.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	freesSlots(t).closes(t)
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Minute) }) // runs last: ends what only waits for a time
		f(t)
	})
}

// freesSlots fails unless the slot of a connection that ended is free again.
func freesSlots(t *testing.T) *server {
	t.Helper()
	s := serve(t, tcp(t), 1, long, greet)
	for i := range 3 {
		s.ask(t, s.dial(t), "limit 1, and %d connections before this one have ended: the slot must be free again", i)
	}
	return s
}

// survivesFaults fails unless Serve goes on, and ends, after failed Accepts.
func survivesFaults(t *testing.T) {
	t.Helper()
	ln := tcp(t)
	ln.fault = func(call int) error {
		if call <= 3 {
			return emfile
		}
		return nil
	}
	s := serve(t, ln, 1, long, greet)
	assert.Equal(t, "hello ann\n", s.ask(t, s.dial(t),
		"limit 1, Accept failed 3 times with EMFILE (no descriptor is left), and works again. Such errors pass: Serve must go on, and none of them may keep the slot that was meant for a connection"))
	s.closes(t)
}

// greet is a small protocol: a name in, a greeting out.
func greet(conn net.Conn) {
	name, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		io.WriteString(conn, "hello "+name)
	}
}

// server is a Serve at work.
type server struct {
	ln       *listener
	returned chan struct{} // closed when Serve has come back
	err      error         // with this
}

// serve starts Serve on ln, which it closes with the test.
func serve(t *testing.T, ln *listener, limit int, timeout time.Duration, handle func(net.Conn)) *server {
	s := &server{ln: ln, returned: make(chan struct{})}
	go func() {
		defer close(s.returned)
		s.err = accept.Serve(ln, limit, timeout, handle)
	}()
	t.Cleanup(func() { ln.Close() })
	return s
}

// dial connects, and closes the connection with the test.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := s.ln.dial()
	require.NoError(t, err, "the listener is open: the kernel takes the connection, whatever Serve does")
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask says who is there, and returns the greeting.
func (s *server) ask(t *testing.T, conn net.Conn, why string, args ...any) string {
	t.Helper()
	greeting := make(chan string, 1)
	go func() { // until it has an answer, or conn is closed with the test
		if _, err := io.WriteString(conn, "ann\n"); err != nil {
			return
		}
		if text, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			greeting <- text
		}
	}()
	return await(t, s, greeting, why, args...)
}

// stillServes fails when Serve has come back while its listener was open.
func (s *server) stillServes(t *testing.T) {
	t.Helper()
	select {
	case <-s.returned:
		require.Fail(t, "returned too early", "Serve returned (%v) while its listener was open: it goes on until the listener is closed", s.err)
	default:
	}
}

// closes closes the listener, and waits until Serve comes back.
func (s *server) closes(t *testing.T) {
	t.Helper()
	s.stillServes(t)
	s.ln.Close()
	await(t, nil, s.returned, "the listener is closed, and all handlers have returned: Serve must return, too")
}

// await returns what arrives on event. It fails after a second, or once s
// (unless nil) has stopped.
func await[T any](t *testing.T, s *server, event <-chan T, why string, args ...any) T {
	t.Helper()
	var returned <-chan struct{}
	if s != nil {
		returned = s.returned
	}
	v, ok := soon(event, returned)
	if ok {
		return v
	}
	select {
	case <-returned:
		require.Fail(t, "returned too early", "%s. But Serve has returned (%v) while its listener was open", fmt.Sprintf(why, args...), s.err)
	default:
		require.Fail(t, "nothing happened for a second", fmt.Sprintf(why, args...))
	}
	return v
}

// soon receives from event, unless a second passes or stop is closed before. A
// second of this program, that is: the time that a busy machine lets all of it
// stand still does not count.
func soon[T any](event <-chan T, stop <-chan struct{}) (v T, ok bool) {
	for range 100 {
		select {
		case v := <-event:
			return v, true
		case <-stop:
			return v, false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return v, false
}

// listener notes each Accept, and can let it fail.
type listener struct {
	net.Listener
	dial  func() (net.Conn, error)
	fault func(call int) error // unless nil: the error of this call, counted from 1

	mu    sync.Mutex
	times []time.Time
}

// tooMany calls of Accept are no accept loop any more: its goroutine ends there.
const tooMany = 500

func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.times = append(l.times, time.Now())
	call := len(l.times)
	l.mu.Unlock()
	if call >= tooMany {
		runtime.Goexit()
	}
	if l.fault != nil {
		if err := l.fault(call); err != nil {
			return nil, err
		}
	}
	return l.Listener.Accept()
}

// calls is when Accept was called.
func (l *listener) calls() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time(nil), l.times...)
}

// emfile is what a net.Listener says when the process has no descriptor left.
var emfile = &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}

// tcp listens on loopback.
func tcp(t *testing.T) *listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return &listener{Listener: ln, dial: func() (net.Conn, error) {
		return net.DialTimeout("tcp", ln.Addr().String(), long)
	}}
}

// memory listens in memory, for synctest: a channel is the kernel's backlog.
func memory() *listener {
	b := &backlog{conns: make(chan net.Conn, 16), closed: make(chan struct{})}
	return &listener{Listener: b, dial: func() (net.Conn, error) {
		client, server := net.Pipe()
		b.conns <- server
		return client, nil
	}}
}

type backlog struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (b *backlog) Accept() (net.Conn, error) {
	select {
	case conn := <-b.conns:
		return conn, nil
	case <-b.closed:
		return nil, &net.OpError{Op: "accept", Net: "memory", Err: net.ErrClosed}
	}
}

func (b *backlog) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *backlog) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// panicking is the environment variable that makes this program what
// survives_a_handler_that_panics runs.
const panicking = "ACCEPT_TEST_PANICKING"

func TestMain(m *testing.M) {
	if os.Getenv(panicking) != "" {
		servePanicking()
		return
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what Serve says of the faults here is not news
	os.Exit(m.Run())
}

// servePanicking serves two clients, one after the other. The first one's
// handler panics.
func servePanicking() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	var handled atomic.Int32
	go func() {
		defer os.Exit(1)
		_ = accept.Serve(ln, 1, long, func(conn net.Conn) {
			if handled.Add(1) == 1 {
				panic("a handler's fault")
			}
			io.WriteString(conn, "the next one was served\n")
		})
	}()
	for range 2 {
		conn, err := net.DialTimeout("tcp", ln.Addr().String(), long)
		if err != nil {
			fmt.Println(err)
			return
		}
		text := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			text <- line
		}()
		line, _ := soon(text, nil)
		fmt.Print(line)
	}
}
