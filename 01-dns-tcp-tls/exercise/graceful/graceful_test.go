package graceful_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/exercise/graceful"
	"clicktocode.example/01-dns-tcp-tls/panics"
)

// long is a time that is not meant to pass.
const long = time.Minute

func TestShutdown(t *testing.T) {
	t.Run("closes_the_listener", func(t *testing.T) {
		s := serve(t, answer)
		require.Equal(t, "your order\n", s.read(t, s.dial(t)), "before Shutdown, clients are served")
		err := s.shutDown(t, t.Context(), "no handler is running: there is nothing to wait for")
		require.NoError(t, err, "no handler is running, so none had to be cut")
		require.True(t, s.listenerClosed(), "the server was shut down, and its listener is still open: the kernel goes on to welcome clients, and nobody will ever serve them")
		await(t, s.returned, "the server was shut down, and no handler is running: Serve must return")
		assert.NoError(t, s.err, "that the server was shut down is no error of Serve")
	})

	t.Run("tells_running_handlers_to_wind_up", func(t *testing.T) {
		entered, told := make(chan bool), make(chan bool, 2)
		s := serve(t, func(ctx context.Context, conn net.Conn) {
			entered <- true
			select {
			case <-ctx.Done():
			case <-closed(conn):
			}
			if ctx.Err() != nil {
				told <- true
			}
		})
		for range 2 {
			s.dial(t)
			await(t, entered, "a connection must reach handle")
		}
		down := s.shuttingDown(t.Context())
		for range 2 {
			awaitWhile(t, down, told, "two handlers wait for their context's end, and Shutdown was called: the context must be done. Otherwise connections that idle hold up the end, though they have nothing to finish")
		}
		assert.NoError(t, await(t, down, "both handlers have returned, and Shutdown still waits. It must return, too. (A handler that returns needs mu: is mu held during the wait?)"))
	})

	t.Run("lets_a_running_request_finish", func(t *testing.T) {
		entered, gate := make(chan bool), make(chan struct{})
		s := serve(t, func(ctx context.Context, conn net.Conn) {
			entered <- true
			<-gate
			answer(ctx, conn)
		})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		conn := s.dial(t)
		await(t, entered, "a connection must reach handle")
		down := s.shuttingDown(t.Context())
		select {
		case err := <-down:
			require.Fail(t, "returned too early", "Shutdown returned (%v) while a handler was running: its caller then ends the program, and with it the handler", err)
		case <-time.After(100 * time.Millisecond): // long enough to do what is wrong
		}
		eventually(t, s.listenerClosed, "Shutdown was called, and a handler is running: the listener must be closed before the wait, not after it")
		open()
		require.Equal(t, "your order\n", s.read(t, conn), "Shutdown was called while a handler was at work for this client. Its context had not ended, so the handler's answer must still arrive, but the connection was closed under it")
		assert.NoError(t, await(t, down, "the last handler has returned: Shutdown must return, too"))
	})

	t.Run("cuts_what_is_left_when_its_time_is_over", func(t *testing.T) {
		entered, ended := make(chan bool), make(chan error, 2)
		s := serve(t, func(_ context.Context, conn net.Conn) { // takes no notice of its context
			entered <- true
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		})
		for range 2 {
			s.dial(t)
			await(t, entered, "a connection must reach handle")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := s.shutDown(t, ctx, "two handlers wait for their clients, and take no notice of their context. Shutdown's context ended after 50 ms: without a select on it, Shutdown waits for ever, and the process is killed in the middle of things")
		require.ErrorIs(t, err, context.DeadlineExceeded, "Shutdown's context ended, and two handlers were still running: whoever called must learn that they were cut")
		for range 2 {
			err := await(t, ended, "Shutdown's context ended: the connections that are left must be closed, so that their handlers wake up and can clean up")
			assert.ErrorIs(t, err, net.ErrClosed, "the handler's Read from a connection that was cut: cut means closed, by Close. A deadline can be moved by whoever still runs")
		}
		await(t, s.returned, "all connections were cut, and all handlers have returned: Serve must return")
	})

	t.Run("closes_the_listener_before_it_tells_handlers", func(t *testing.T) {
		entered, ended := make(chan context.Context), make(chan bool, 1)
		s := listen(t, func(ctx context.Context, conn net.Conn) {
			entered <- ctx
			select {
			case <-ctx.Done():
			case <-closed(conn):
			}
			ended <- true
		})
		var handler context.Context
		told := make(chan error, 10)
		s.onClose = func() { told <- handler.Err() }
		go s.serve()
		s.dial(t)
		handler = await(t, entered, "a connection must reach handle")
		down := s.shuttingDown(t.Context())
		assert.NoError(t, awaitWhile(t, down, told, "Shutdown was called: it must close the listener"),
			"when the listener was closed, the context of the running handler was done already. The listener comes first: a client that is sent away by its handler would come in again by the same door")
		awaitWhile(t, down, ended, "Shutdown was called: the context of the running handler must be done")
		assert.NoError(t, await(t, down, "the handler has returned, and Shutdown still waits"))
	})

	t.Run("serves_nobody_who_was_accepted_in_that_moment", func(t *testing.T) {
		entered, told, gate := make(chan bool, 2), make(chan bool, 1), make(chan struct{})
		s := listen(t, func(ctx context.Context, conn net.Conn) {
			entered <- true
			<-ctx.Done()
			told <- true
			<-gate
			answer(ctx, conn)
		})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		accepted, late := make(chan bool, 2), make(chan struct{})
		letIn := sync.OnceFunc(func() { close(late) })
		defer letIn()
		first := true // for the one goroutine that accepts
		s.wrap = func(conn net.Conn) net.Conn {
			if accepted <- true; !first {
				<-late
			}
			first = false
			return conn
		}
		go s.serve()
		one := s.dial(t)
		await(t, accepted, "Serve must accept")
		await(t, entered, "a connection must reach handle")
		other := s.dial(t)
		await(t, accepted, "Serve must accept")
		down := s.shuttingDown(t.Context())
		awaitWhile(t, down, told, "Shutdown was called: the context of the running handler must be done")
		letIn() // Accept, which was called before Shutdown, returns now
		open()
		assert.Equal(t, "your order\n", s.read(t, one), "the first client was being served when Shutdown was called")
		assert.NotContains(t, s.read(t, other), "your order", "the second client was accepted in the moment of Shutdown, and its handler was called. Note that the server is shut down (shutDown, under mu), so that its connection is closed: nobody would cut it at the end")
		assert.NoError(t, await(t, down, "all handlers have returned: Shutdown must return, too"))
	})

	t.Run("cuts_at_once_when_there_is_no_time", func(t *testing.T) {
		entered, ended := make(chan bool), make(chan error, 1)
		s := serve(t, func(_ context.Context, conn net.Conn) {
			entered <- true
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		})
		s.dial(t)
		await(t, entered, "a connection must reach handle")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.shutDown(t, ctx, "its context was done before the call: there is nothing to wait for")
		require.ErrorIs(t, err, context.Canceled, "a handler was running, and Shutdown's context was done before the call")
		await(t, ended, "the connection must be cut")
		assert.True(t, s.listenerClosed(), "Shutdown has returned, and the listener is open: it is closed first, however little time there is")
	})

	t.Run("cuts_all_though_closing_one_fails", func(t *testing.T) {
		entered, ended, gate := make(chan bool), make(chan error, 2), make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		var calls atomic.Int32
		s := serve(t, func(_ context.Context, conn net.Conn) {
			if calls.Add(1) == 1 {
				conn.Close()
				entered <- true
				<-gate // it still has something to do
				return
			}
			entered <- true
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		})
		for range 2 {
			s.dial(t)
			await(t, entered, "a connection must reach handle")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.shutDown(t, ctx, "its context was done before the call: there is nothing to wait for")
		assert.ErrorIs(t, err, context.Canceled, "of two running handlers, the first had closed its connection itself, so that closing it once more fails. That changes nothing: the rest is cut, and Shutdown returns its context's error, wrapped")
		await(t, ended, "the connection of the second handler must be cut, though closing the first's fails")
	})

	t.Run("looks_at_conns_under_the_lock_when_it_cuts", func(t *testing.T) {
		// Two connections. While Shutdown closes one of them, whichever it comes to
		// first, the handler of the other returns, and has the time to take its
		// connection out of conns, unless mu keeps it from that.
		var conns []*noted
		var first sync.Once
		cut := func(c *noted) {
			first.Do(func() {
				other := conns[0]
				if other == c {
					other = conns[1]
				}
				other.letReturn()
				select {
				case <-other.out:
				case <-time.After(50 * time.Millisecond): // it waits for mu
				}
			})
		}
		entered := make(chan *noted, 2)
		s := listen(t, func(_ context.Context, conn net.Conn) {
			c := conn.(*noted)
			entered <- c
			<-c.mayReturn // nor does it notice that it was cut
			c.returned.Store(true)
		})
		s.wrap = func(conn net.Conn) net.Conn {
			return &noted{Conn: conn, cut: cut, mayReturn: make(chan struct{}), out: make(chan struct{})}
		}
		go s.serve()
		for range 2 {
			s.dial(t)
			c := await(t, entered, "a connection must reach handle")
			defer c.letReturn()
			conns = append(conns, c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.shutDown(t, ctx, "its context was done before the call, and the two running handlers do not notice that they were cut. Shutdown closes what is left and returns: it is Serve that waits for them")
		require.ErrorIs(t, err, context.Canceled, "two handlers were running, and Shutdown's context was done before the call")
		for _, c := range conns {
			c.letReturn()
		}
		await(t, s.returned, "both handlers have returned: Serve must return")
		eventually(t, func() bool { return conns[0].closed.Load() >= 2 && conns[1].closed.Load() >= 2 }, // by Shutdown, and by Serve
			"two connections were left. While Shutdown closed the first, the handler of the second returned, and Shutdown missed the second: conns changed under its eyes. "+
				"Hold mu as long as you range over conns, or copy them under mu. Go ends a program in which one goroutine writes to a map while another one reads it")
	})

	t.Run("may_be_called_again", func(t *testing.T) {
		entered, gate := make(chan bool), make(chan struct{})
		s := serve(t, func(_ context.Context, conn net.Conn) {
			entered <- true
			select {
			case <-gate:
			case <-closed(conn):
			}
		})
		defer close(gate)
		s.dial(t)
		await(t, entered, "a connection must reach handle")
		first := s.shuttingDown(t.Context())
		eventually(t, s.listenerClosed, "Shutdown was called, and a handler is running: the listener must be closed before the wait")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := s.shutDown(t, ctx, "it was called while a first Shutdown is waiting, and its own context ended after 50 ms")
		require.ErrorIs(t, err, context.DeadlineExceeded, "a first Shutdown is waiting for a handler, and a second one was called, whose context ended after 50 ms. It must wait for the same handlers, and cut them at the end of its own context: that somebody else has called Shutdown does not mean that the server has ended")
		assert.NoError(t, await(t, first, "the second Shutdown cut the last connection, and its handler has returned: the first must return"))
		assert.NoError(t, s.shutDown(t, t.Context(), "everything has ended before: there is nothing to wait for"))
	})

	t.Run("may_be_called_before_Serve", func(t *testing.T) {
		s := listen(t, answer)
		err := s.shutDown(t, t.Context(), "Serve was not called: there is nothing to wait for")
		require.NoError(t, err, "Serve was not called: there is no listener yet, and nobody to cut")
		go s.serve()
		await(t, s.returned, "the server was shut down before Serve was called, as happens when a program is stopped while it starts: Serve must not begin to serve")
		assert.NoError(t, s.err, "that the server was shut down is no error of Serve")
		assert.True(t, s.listenerClosed(), "the server was shut down before Serve was called, and the listener is still open: Serve closes it")
	})

	t.Run("leaves_no_goroutine_behind", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		entered := make(chan bool)
		s := serve(t, func(_ context.Context, conn net.Conn) {
			entered <- true
			io.Copy(io.Discard, conn)
		})
		conn := s.dial(t)
		await(t, entered, "a connection must reach handle")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := s.shutDown(t, ctx, "a handler is running, and the context ended after 10 ms")
		require.ErrorIs(t, err, context.DeadlineExceeded, "a handler was running when Shutdown's context ended, after 10 ms")
		conn.Close()
		await(t, s.returned, "the last connection was cut: Serve must return")
		assert.NoError(t, goleak.Find(before), "the server was shut down, and Serve has returned: all goroutines that were started must have ended")
	})
}

// answer serves a client that has nothing to say.
func answer(_ context.Context, conn net.Conn) {
	io.WriteString(conn, "your order\n")
}

// closed is closed when reading from conn fails, as it does once it was cut.
func closed(conn net.Conn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn.Read(make([]byte, 1))
	}()
	return done
}

// noted is a connection that notes when it is closed.
type noted struct {
	net.Conn
	closed   atomic.Int32 // how often
	cut      func(*noted) // called when that happens while its handler is running
	returned atomic.Bool  // its handler has
	out      chan struct{}
	outOnce  sync.Once // closes out: its handler had returned when it was closed, as Serve does it

	mayReturn chan struct{} // its handler waits for this
	letOnce   sync.Once     // closes mayReturn
}

func (c *noted) letReturn() { c.letOnce.Do(func() { close(c.mayReturn) }) }

func (c *noted) Close() error {
	c.closed.Add(1)
	if c.returned.Load() {
		c.outOnce.Do(func() { close(c.out) })
	} else {
		c.cut(c)
	}
	return c.Conn.Close()
}

// server is a Server at work.
type server struct {
	*graceful.Server
	ln       *net.TCPListener
	wrap     func(net.Conn) net.Conn // what is accepted; nil leaves it as it is
	onClose  func()                  // called before the listener is closed; may be nil
	returned chan struct{}           // closed when Serve has come back
	err      error                   // with this
}

// listen makes a server, and does not let it serve yet.
func listen(t *testing.T, handle func(context.Context, net.Conn)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return &server{Server: graceful.New(handle), ln: ln.(*net.TCPListener), returned: make(chan struct{})}
}

// serve makes a server that serves.
func serve(t *testing.T, handle func(context.Context, net.Conn)) *server {
	t.Helper()
	s := listen(t, handle)
	go s.serve()
	return s
}

func (s *server) serve() {
	defer close(s.returned)
	s.err = s.Serve(wrapping{s.ln, s.wrap, s.onClose}, 10, long)
}

// wrapping is a listener whose connections are wrapped.
type wrapping struct {
	net.Listener
	wrap    func(net.Conn) net.Conn
	onClose func()
}

func (l wrapping) Close() error {
	if l.onClose != nil {
		l.onClose()
	}
	return l.Listener.Close()
}

func (l wrapping) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && l.wrap != nil {
		conn = l.wrap(conn)
	}
	return conn, err
}

// dial connects, and closes the connection with the test.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.ln.Addr().String(), long)
	require.NoError(t, err, "the listener is open")
	t.Cleanup(func() { conn.Close() })
	return conn
}

// read returns what the server sends until it closes the connection, and what
// else went wrong.
func (s *server) read(t *testing.T, conn net.Conn) string {
	t.Helper()
	got := make(chan string, 1)
	go func() { // until the end of conn, which is closed with the test
		text, err := io.ReadAll(conn)
		if err != nil {
			text = fmt.Appendf(text, " (%v)", err)
		}
		got <- string(text)
	}()
	return await(t, got, "the server must answer, and close the connection when the handler has returned")
}

// listenerClosed reports whether the kernel refuses new clients.
func (s *server) listenerClosed() bool {
	return errors.Is(s.ln.SetDeadline(time.Time{}), net.ErrClosed)
}

// shuttingDown calls Shutdown. What it returns arrives on the channel.
func (s *server) shuttingDown(ctx context.Context) chan error {
	down := make(chan error, 1)
	go func() {
		var err error
		if fault := panics.In(func() { err = s.Shutdown(ctx) }); fault != "" {
			err = errors.New("Shutdown panicked: " + fault)
		}
		down <- err
	}()
	return down
}

// shutDown calls Shutdown, and waits for it.
func (s *server) shutDown(t *testing.T, ctx context.Context, why string) error {
	t.Helper()
	return await(t, s.shuttingDown(ctx), "Shutdown has not returned: "+why)
}

// await returns what arrives on event, and fails after a second. A second of
// this program, that is: the time that a busy machine lets all of it stand
// still does not count.
func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	return awaitWhile(t, nil, event, why)
}

// awaitWhile is await, and fails sooner when Shutdown has returned: down is
// where its result arrives, and stays.
func awaitWhile[T any](t *testing.T, down chan error, event <-chan T, why string) (v T) {
	t.Helper()
	for tick := range 100 {
		select {
		case v := <-event:
			return v
		case <-time.After(10 * time.Millisecond):
		}
		if tick >= 10 && len(down) > 0 {
			require.Fail(t, "Shutdown has returned, and nothing happened", why)
		}
	}
	require.Fail(t, "nothing happened for a second", why)
	return v
}

// eventually waits until condition holds, and fails after a second.
func eventually(t *testing.T, condition func() bool, why string) {
	t.Helper()
	for range 200 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.Fail(t, "nothing happened for a second", why)
}
