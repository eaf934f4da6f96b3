package accept_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/exercise/accept"
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
			time.Sleep(31 * time.Second)
			synctest.Wait()
			s.stillServes(t)
			if len(cut) == 0 {
				t.Fatal("timeout 30s: 31 s ago a client connected, and sent nothing since. Its handler is still waiting, and its slot taken. Without a deadline on the connection, as many such clients as there are slots stop all")
			}
			assert.Equal(t, 30*time.Second, <-cut, "the client must be cut when its timeout is over")
			assert.Equal(t, "hello ann\n", s.ask(t, s.dial(t), "limit 1, and the slow client was cut: the next one must be served"))
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
			if len(cut) == 0 {
				t.Fatal("timeout 30s: for 31 s the handler has been writing to a client that does not read. The deadline must hold for writing, too: SetDeadline sets both")
			}
			assert.Equal(t, 30*time.Second, <-cut, "the client must be cut when its timeout is over")
		})
	})

	t.Run("cuts_a_client_that_sends_a_byte_now_and_then", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cut := make(chan time.Duration, 1)
			s := serve(t, memory(), 1, 30*time.Second, func(conn net.Conn) {
				begin := time.Now()
				greet(conn)
				cut <- time.Since(begin)
			})
			conn := s.dial(t)
			go func() { // until the connection is closed
				for err := error(nil); err == nil; _, err = io.WriteString(conn, "a") {
					time.Sleep(8 * time.Second)
				}
			}()
			time.Sleep(61 * time.Second)
			synctest.Wait()
			s.stillServes(t)
			if len(cut) == 0 {
				t.Fatal("timeout 30s: 61 s ago a client connected, and it sends a byte every 8 s. Its handler is still waiting, and its slot taken. The deadline is one moment, timeout after the connection was accepted, and nothing that the client sends moves it")
			}
			assert.Equal(t, 30*time.Second, <-cut, "the client must be cut when its timeout is over, whatever it sends")
		})
	})

	t.Run("lets_a_handler_move_its_deadline", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			late := make(chan error, 1)
			s := serve(t, memory(), 2, 30*time.Second, func(conn net.Conn) {
				if _, err := conn.Read(make([]byte, 1)); err != nil { // the first one's client sends nothing
					late <- err
					return
				}
				conn.SetDeadline(time.Now().Add(2 * time.Minute))
				greet(conn)
			})
			s.dial(t)
			time.Sleep(31 * time.Second)
			assert.ErrorIs(t, await(t, s, late, "timeout 30s: 31 s ago a client connected, and sent nothing"), os.ErrDeadlineExceeded,
				"timeout 30s: the handler's Read fails when it is over, and the connection is not closed under it: that is a deadline, SetDeadline")
			conn := s.dial(t)
			_, err := io.WriteString(conn, "!")
			require.NoError(t, err)
			time.Sleep(time.Minute)
			assert.Equal(t, "hello ann\n", s.ask(t, conn, "timeout 30s: the handler moved its deadline to 2 minutes, and after one its client speaks: it must be served"))
		})
	})

	t.Run("runs_no_more_handlers_than_the_limit", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := held(t)
			s := serve(t, memory(), 2, long, h.handle)
			for range 5 {
				s.dial(t)
			}
			synctest.Wait()
			s.stillServes(t)
			if n := h.entered.Load(); n != 2 {
				t.Fatalf("limit 2, 5 clients, and no handler returns: %d handlers run, and it must be 2. The others wait for a slot", n)
			}
			h.letOne()
			synctest.Wait()
			if n := h.entered.Load(); n != 3 {
				t.Fatalf("limit 2, 5 clients, and one of 2 handlers has returned: %d more handlers were called, and it must be 1. Its slot goes to the third client, and to no other", n-2)
			}
			h.letAll()
			synctest.Wait()
			if n := h.entered.Load(); n != 5 {
				t.Fatalf("limit 2, 5 clients, and all handlers return: %d of the 5 were served", n)
			}
		})
	})

	t.Run("takes_the_slot_before_it_accepts", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := held(t)
			s := serve(t, memory(), 2, long, h.handle)
			for range 5 {
				s.dial(t)
			}
			synctest.Wait()
			s.stillServes(t)
			if calls := len(s.ln.calls()); calls > 2 {
				t.Fatalf("limit 2, 5 clients, and no handler returns: Serve called Accept %d times, and may call it twice. A client beyond the limit then holds a descriptor, and waits in this process instead of in the kernel's backlog. Take the slot before you accept", calls)
			}
			h.letOne()
			synctest.Wait()
			if calls := len(s.ln.calls()); calls != 3 {
				t.Fatalf("limit 2, 5 clients, and one of 2 handlers has returned: Serve called Accept %d times in all, and it must be 3, since a slot is free", calls)
			}
		})
	})

	t.Run("frees_the_slot_once_the_connection_is_closed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			t.Cleanup(open)
			ln := memory()
			ln.wrap = func(conn net.Conn) net.Conn { return &slowToClose{conn, gate} }
			s := serve(t, ln, 1, long, greet)
			first, second := s.dial(t), s.dial(t)
			s.ask(t, first, "the first connection must reach handle")
			synctest.Wait()
			if calls := len(s.ln.calls()); calls != 1 {
				t.Fatalf("limit 1: handle has returned, and its connection is still being closed: Serve called Accept %d times, and may call it once. For a while, then, more connections are open than the limit allows. Close first, then give the slot back (deferred calls run last to first)", calls)
			}
			open()
			assert.Equal(t, "hello ann\n", s.ask(t, second, "limit 1, and the first connection is closed: the second must be served"))
		})
	})

	t.Run("survives_a_handler_that_panics", func(t *testing.T) {
		// In a process of its own, because a panic that nobody recovers ends it.
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program) // it comes to an end by itself
		cmd.Env = append(os.Environ(), panicking+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if strings.Contains(string(out), "the next one was served") {
			return
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 2 { // the runtime's
			t.Fatal("a handler panicked, and that ended the whole program, with all its connections: call run, which calls the handler and recovers")
		}
		t.Fatal("limit 1, the first connection's handler panicked, and the next connection was not served. A panic that jumps over the release takes the slot with it: defer the release")
	})

	t.Run("survives_running_out_of_descriptors", func(t *testing.T) { survivesFaults(t, 10).closes(t) })

	t.Run("survives_any_other_error", func(t *testing.T) {
		for _, fault := range []error{
			&net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.ENOBUFS)},
			errors.New("accept: an error of its own kind"),
		} {
			ln := tcp(t)
			ln.fault = func(call int) error {
				if call == 1 {
					return fault
				}
				return nil
			}
			s := serve(t, ln, 10, long, greet)
			require.Equal(t, "hello ann\n", s.ask(t, s.dial(t), "Accept failed once, with %q, and works again: this client must be served. Every error but net.ErrClosed is taken to pass, whatever its Temporary method says, if it has one", fault))
		}
	})

	t.Run("takes_no_slot_for_a_failed_Accept", func(t *testing.T) { survivesFaults(t, 1).closes(t) })

	t.Run("waits_after_a_failed_Accept", func(t *testing.T) {
		waits := failing(t, func(int) error { return emfile })
		for i, wait := range waits {
			if wait == 0 {
				t.Fatalf("Accept failed with EMFILE (attempt %d), and Serve called it again at once: this loop spins, and takes the CPU from the handlers, whose end would free descriptors. Wait between two attempts", i+1)
			}
		}
	})

	t.Run("waits_longer_after_each_error", func(t *testing.T) {
		waits := failing(t, func(int) error { return emfile })
		first := waits[:min(len(waits), 10)]
		if len(first) > 1 && len(slices.Compact(slices.Clone(first))) == 1 {
			t.Fatalf("every Accept fails with EMFILE, and Serve waits %v after each: it waits, but always equally long. Begin at MinDelay, and double the wait after each further failure, up to MaxDelay: short trouble then costs little time, and long trouble few attempts", first[0])
		}
		const ms = time.Millisecond
		assert.Equal(t, []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}, first,
			"the waits, while every Accept fails: MinDelay, then twice as long each time, up to MaxDelay")
	})

	t.Run("starts_with_a_short_wait_after_a_success", func(t *testing.T) {
		waits := failing(t, func(call int) error {
			if call == 6 {
				return nil
			}
			return emfile
		})
		if len(waits) < 7 {
			t.Fatalf("5 errors, a connection, then errors again, for %v: Accept was called no more than %d times. No wait is longer than MaxDelay, 1 s", failingFor, len(waits)+1)
		}
		assert.Equal(t, waits[0], waits[6], "5 errors, a connection, then errors again. The wait after the first error, and the wait after the first one behind the connection: the connection shows that the trouble is over, so the waits begin at MinDelay again")
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
				t.Fatalf("the listener is closed, and a handler is still running: Serve returned (%v). Whoever calls Serve ends the program then, and the handler's client never gets its answer", s.err)
			default:
			}
		})
	})

	t.Run("waits_for_a_handler_that_has_hardly_begun", func(t *testing.T) {
		comesBack.check(t, func() { freesSlots(t).closes(t) })
		for range 100 {
			client, conn := net.Pipe()
			defer client.Close()
			b := &backlog{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
			ln := &listener{Listener: b, again: make(chan struct{})}
			ln.wrap = func(conn net.Conn) net.Conn {
				b.Close() // so the next Accept fails at once
				return conn
			}
			b.conns <- conn
			var handled atomic.Bool
			s := serve(t, ln, 2, long, func(net.Conn) {
				runtime.Gosched()
				handled.Store(true)
			})
			await(t, nil, s.returned, "the listener is closed: Serve must return")
			require.True(t, handled.Load(), "the listener was closed right after a connection was accepted: Serve returned (%v) before that one's handler did. A goroutine that counts itself may do so too late: count it (sync.WaitGroup's Add, or Go) before it starts", s.err)
		}
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
	comesBack.check(t, func() { freesSlots(t).closes(t) })
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Minute) }) // runs last: ends what only waits for a time
		f(t)
	})
}

// once is a check that many leaves need. What is found wrong takes a second to
// find, and is told in full by the first of them.
type once struct{ began, passed bool }

var comesBack, comesBackAfterFaults once

func (o *once) check(t *testing.T, f func()) {
	t.Helper()
	if !o.began {
		o.began = true
		f()
		o.passed = true
	}
	if !o.passed {
		t.Fatal("this could not be tried, because Serve does not end, or does not serve one client after the other: mend what the tests before this one say")
	}
}

// freesSlots fails unless the slot of a connection that ended is free again.
func freesSlots(t *testing.T) *server {
	t.Helper()
	s := serve(t, tcp(t), 1, long, greet)
	for i := range 3 {
		s.ask(t, s.dial(t), "limit 1, and client %d comes when the one before it has gone: it must be served, as the slot is free again", i+1)
	}
	return s
}

// survivesFaults fails unless Serve goes on after failed Accepts.
func survivesFaults(t *testing.T, limit int) *server {
	t.Helper()
	ln := tcp(t)
	ln.fault = func(call int) error {
		if call <= 3 {
			return emfile
		}
		return nil
	}
	s := serve(t, ln, limit, long, greet)
	why := "limit %d, Accept failed 3 times with EMFILE (no descriptor is left), and works again: this client must be served. Such errors pass, and Serve must go on"
	if limit <= 3 {
		why = "limit %d, Accept failed 3 times with EMFILE (no descriptor is left), and works again: this client must be served. A failed Accept gave no connection, and so must give back the slot that was meant for one"
	}
	assert.Equal(t, "hello ann\n", s.ask(t, s.dial(t), why, limit))
	return s
}

// failingFor is how long Accept fails in failing.
const failingFor = 4 * time.Second

// failing runs Serve on a listener that fails as fault says, with one client
// waiting, and returns how long after each Accept the next one was called.
func failing(t *testing.T, fault func(call int) error) (waits []time.Duration) {
	t.Helper()
	comesBackAfterFaults.check(t, func() { survivesFaults(t, 10).closes(t) })
	bubble(t, func(t *testing.T) {
		ln := memory()
		ln.fault = fault
		s := serve(t, ln, 2*tooMany, long, func(net.Conn) {})
		s.dial(t)
		time.Sleep(failingFor)
		synctest.Wait()
		calls := ln.calls()
		if len(calls) < tooMany { // otherwise it was ended
			s.stillServes(t)
		}
		for i := range calls[1:] {
			waits = append(waits, calls[i+1].Sub(calls[i]))
		}
	})
	return waits
}

// handlers wait until they may return.
type handlers struct {
	entered atomic.Int32
	gate    chan struct{}
	letAll  func() // all that run, and all that come
}

func held(t *testing.T) *handlers {
	h := &handlers{gate: make(chan struct{})}
	h.letAll = sync.OnceFunc(func() { close(h.gate) })
	t.Cleanup(h.letAll)
	return h
}

func (h *handlers) handle(net.Conn) {
	h.entered.Add(1)
	<-h.gate
}

// letOne lets one handler return, if one is running.
func (h *handlers) letOne() {
	select {
	case h.gate <- struct{}{}:
	default:
	}
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
		t.Fatalf("Serve returned (%v) while its listener was open: it goes on until the listener is closed", s.err)
	default:
	}
}

// closes closes the listener, and waits until Serve comes back.
func (s *server) closes(t *testing.T) {
	t.Helper()
	s.stillServes(t)
	s.ln.Close()
	ended := make(chan bool, 1)
	go func() { // until one of the two
		select {
		case <-s.returned:
		case <-s.ln.again:
		}
		select {
		case <-s.ln.again: // though it may have ended since, by tooMany
			ended <- false
		default:
			ended <- true
		}
	}()
	const why = "the listener is closed, and all handlers have returned: Serve must return, too"
	if !await(t, nil, ended, why) {
		t.Fatal("the listener is closed, and Serve called Accept again. Does it recognise the error? Accept does not give net.ErrClosed itself, it gives an error that wraps it: errors.Is(err, net.ErrClosed) sees that, and err == net.ErrClosed does not")
	}
}

// await returns what arrives on event. It fails soon, or once s
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
		t.Fatalf("Serve has returned (%v) while its listener was open: %s", s.err, fmt.Sprintf(why, args...))
	default:
		t.Fatalf("nothing happened: %s", fmt.Sprintf(why, args...))
	}
	return v
}

// turns of 10 ms each are how long soon waits. Where something did not come,
// the rest of the tests should not take a second each to say so.
var turns = 100

// soon receives from event, unless a second passes or stop is closed before. A
// second of this program, that is: the time that a busy machine lets all of it
// stand still does not count.
func soon[T any](event <-chan T, stop <-chan struct{}) (v T, ok bool) {
	for range turns {
		select {
		case v := <-event:
			return v, true
		case <-stop:
			return v, false
		case <-time.After(10 * time.Millisecond):
		}
	}
	turns = 20
	return v, false
}

// listener notes each Accept, and can let it fail.
type listener struct {
	net.Listener
	dial  func() (net.Conn, error)
	fault func(call int) error    // unless nil: the error of this call, counted from 1, until Close
	wrap  func(net.Conn) net.Conn // unless nil: what a connection is given out as

	again chan struct{} // closed when it was asked again after it had said that it is closed

	mu     sync.Mutex
	times  []time.Time
	closed bool
	over   int // how often it said so
}

// tooMany calls of Accept are no accept loop any more: its goroutine ends there.
const tooMany = 5000

func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.times = append(l.times, time.Now())
	call, closed := len(l.times), l.closed
	l.mu.Unlock()
	if call >= tooMany {
		runtime.Goexit()
	}
	if l.fault != nil && !closed {
		if err := l.fault(call); err != nil {
			return nil, err
		}
	}
	conn, err := l.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.over++; l.over == 2 {
			close(l.again)
		}
	}
	if err == nil && l.wrap != nil {
		conn = l.wrap(conn)
	}
	return conn, err
}

func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.Listener.Close()
}

// slowToClose is a connection whose Close waits for gate.
type slowToClose struct {
	net.Conn
	gate <-chan struct{}
}

func (c *slowToClose) Close() error {
	<-c.gate
	return c.Conn.Close()
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
	return &listener{Listener: ln, again: make(chan struct{}), dial: func() (net.Conn, error) {
		return net.DialTimeout("tcp", ln.Addr().String(), long)
	}}
}

// memory listens in memory, for synctest: a channel is the kernel's backlog.
func memory() *listener {
	b := &backlog{conns: make(chan net.Conn, 16), closed: make(chan struct{})}
	return &listener{Listener: b, again: make(chan struct{}), dial: func() (net.Conn, error) {
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
