package drain_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/exercise/drain"
	"clicktocode.example/02-load-balancer/solution/leastconn"
)

func TestDrain(t *testing.T) {
	t.Run("takes_no_new_requests_from_the_start", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			require.NoError(t, finished(t, draining(t.Context(), b), "no request is with it: there is nothing to wait for"))
			require.Equal(t, "draining", b.State(), "Drain was called, and has returned: the backend must be draining, so that no Picker returns it any more")
			b = newBackend(t)
			b.Begin()
			defer b.End()
			draining(t.Context(), b)
			synctest.Wait()
			require.Equal(t, "draining", b.State(), "a request is with the backend, and Drain was called: it must be draining at once, and not after the wait. On a busy backend there is always one request more, and the wait has no end")
		})
	})

	t.Run("waits_until_the_last_request_is_over", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			for range 3 {
				b.Begin()
			}
			done := draining(t.Context(), b)
			for left := 3; left > 0; left-- {
				synctest.Wait()
				require.Empty(t, done, "Drain has returned, and %d requests are still with the backend. Its caller stops the backend now, and these are dropped: an order that was being charged, say", left)
				b.End()
			}
			require.NoError(t, finished(t, done, "the last request is over: so is Drain"))
		})
	})

	t.Run("returns_at_the_very_moment", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			b.Begin()
			done := draining(t.Context(), b)
			const odd = 17*time.Second + 12345678*time.Nanosecond
			time.Sleep(odd)
			b.End()
			synctest.Wait()
			require.Len(t, done, 1, "the last request was over after %s, and at this moment Drain has not returned. It must not look at Active every so often, but be woken up: that is what NotifyIdle is for", odd)
			require.NoError(t, <-done)
			require.Equal(t, "draining", b.State(), "it was drained: it stays so, until somebody says otherwise")
		})
	})

	t.Run("gives_up_when_its_time_is_over", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			for range 3 {
				b.Begin()
			}
			defer b.End()
			defer b.End()
			time.AfterFunc(5*time.Second, b.End)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			done := draining(ctx, b)
			time.Sleep(10 * time.Second)
			err := finished(t, done, "of three requests two do not come to an end, and Drain's context ended: it must not wait for ever, or one customer who went to sleep stops the new version from coming")
			require.ErrorIs(t, err, context.DeadlineExceeded, "two requests were left when the context ended: Drain returns the context's error, wrapped")
			assert.ErrorContains(t, err, "kitchen", "the error names the backend")
			assert.ErrorContains(t, err, "2", "the error says how many requests were left: there were three, and one came to its end meanwhile")
			assert.NotContains(t, err.Error(), "3", "there were three requests, and one came to its end meanwhile: the error says how many were left, not how many there were")
			assert.Equal(t, "draining", b.State(), "Drain gave up the wait, and the backend is still about to leave")
			assert.EqualValues(t, 2, b.Active(), "requests that are left go on")
		})
	})

	t.Run("does_not_miss_a_request_that_ends_meanwhile", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			b.Begin()
			end := sync.OnceFunc(b.End)
			watched := &hooked{Backend: b, afterActive: end}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done := draining(ctx, watched)
			synctest.Wait()
			end()
			require.NoError(t, finished(t, done, "the last request ended just after Drain had looked at Active and seen 1: now it waits, and nobody will wake it. Ask to be told (NotifyIdle) first, and look then"))
			require.Equal(t, "draining", b.State())
		})
	})

	t.Run("looks_again_when_it_was_told", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			b.Begin()
			meanwhile := sync.OnceFunc(func() {
				b.End()   // the last one is over, which is told,
				b.Begin() // and another, picked before, is sent
			})
			watched := &hooked{Backend: b, afterNotifyIdle: meanwhile}
			done := draining(t.Context(), watched)
			synctest.Wait()
			meanwhile()
			synctest.Wait()
			require.Empty(t, done, "Drain was told that the last request was over, and returned. But meanwhile another had come, picked before the backend began to drain. What it is told is a reason to look at Active, not an answer")
			b.End()
			require.NoError(t, finished(t, done, "the last request is over: so is Drain"))
		})
	})

	t.Run("does_not_wait_when_there_is_none", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			b.Begin()
			b.End()
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, finished(t, draining(ended, b), "no request is with it, and its context has ended"), "no request was with it, so none was left, however little time there was")
			require.Equal(t, "draining", b.State())
		})
	})

	t.Run("may_be_called_again", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			b.Begin()
			first, second := draining(t.Context(), b), draining(t.Context(), b)
			synctest.Wait()
			require.Empty(t, first, "a request is with the backend")
			require.Empty(t, second, "a request is with the backend, which was draining already when Drain was called a second time: that call waits, too")
			b.End()
			require.NoError(t, finished(t, first, "the last request is over"))
			require.NoError(t, finished(t, second, "the last request is over"))
		})
	})

	t.Run("stops_being_told", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			idle := &hooked{Backend: newBackend(t)}
			require.NoError(t, finished(t, draining(t.Context(), idle), "no request is with it"))
			require.Equal(t, "draining", idle.State())
			busy := &hooked{Backend: newBackend(t)}
			busy.Begin()
			ctx, cancel := context.WithCancel(t.Context())
			done := draining(ctx, busy)
			synctest.Wait()
			cancel()
			require.ErrorIs(t, finished(t, done, "its context ended"), context.Canceled)
			busy.End()
			for _, b := range []*hooked{idle, busy} {
				require.Equal(t, b.notified, b.stopped, "NotifyIdle was called so often, and its stop must be called as often, on every way out: a backend that is told to stay is drained again and again, and each time would leave a watcher behind")
			}
		})
	})
}

func TestRefuse(t *testing.T) {
	t.Run("sends_nothing_once_it_drains", func(t *testing.T) {
		b, next := newBackend(t), &counter{}
		rt := drain.Refuse(next, b)
		resp, err := send(t, rt, request(t, ""))
		require.NoError(t, err, "the backend is up: the request is sent by next")
		require.Equal(t, http.StatusTeapot, resp.StatusCode, "the answer is next's")
		b.SetDraining(true)
		resp, err = send(t, rt, request(t, ""))
		require.ErrorIs(t, err, drain.ErrDraining, "the backend drains: the request is refused, with ErrDraining, so that it goes elsewhere")
		require.Nil(t, resp, "a RoundTripper returns an answer or an error")
		assert.ErrorContains(t, err, "kitchen", "the error names the backend")
		require.Equal(t, 1, next.requests, "of two requests, the second came when the backend was draining: next gets the first alone")
		b.SetDraining(false)
		_, err = send(t, rt, request(t, ""))
		require.NoError(t, err, "the backend does not drain any more")
	})

	t.Run("closes_the_body_of_what_it_refuses", func(t *testing.T) {
		b := newBackend(t)
		b.SetDraining(true)
		ours, theirs := io.Pipe()
		defer theirs.Close() // ends who reads
		body := &closer{Reader: ours}
		req := request(t, "")
		req.Body = body
		_, err := send(t, drain.Refuse(&counter{}, b), req)
		require.ErrorIs(t, err, drain.ErrDraining, "the backend drains")
		require.True(t, body.closed, "a RoundTripper must close the request's body, also on errors (net/http): whoever writes into the other end of a pipe waits for it")
	})

	t.Run("leaves_other_states_alone", func(t *testing.T) {
		b, next := newBackend(t), &counter{}
		b.SetDown(true)
		b.SetEjected(true)
		rt := drain.Refuse(next, b)
		_, err := send(t, rt, request(t, ""))
		require.NoError(t, err, "the backend is down and ejected, but does not drain. To send there is the Picker's decision: where all are bad, one that may be is better than none")
		b.SetDraining(true)
		_, err = send(t, rt, request(t, ""))
		require.ErrorIs(t, err, drain.ErrDraining, "down, ejected and draining: it is refused")
	})
}

func TestTogether(t *testing.T) {
	t.Run("catches_a_request_that_was_picked_before", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b, next := newBackend(t), &counter{}
			rt := leastconn.Count(drain.Refuse(next, b), b)
			require.True(t, b.Available(), "a Picker may return it")
			require.NoError(t, finished(t, draining(t.Context(), b), "no request is with it"))
			_, err := send(t, rt, request(t, ""))
			require.ErrorIs(t, err, drain.ErrDraining, "a request was picked, and before it was sent, Drain was called, and returned. By now the backend may have been stopped")
			require.Zero(t, next.requests)
			require.Zero(t, b.Active(), "what was refused is over")
		})
	})

	t.Run("waits_for_an_answer_to_arrive_in_full", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := newBackend(t)
			ours, theirs := io.Pipe()
			rt := leastconn.Count(drain.Refuse(&counter{body: ours}, b), b)
			resp, err := rt.RoundTrip(request(t, ""))
			require.NoError(t, err)
			done := draining(t.Context(), b)
			synctest.Wait()
			require.Empty(t, done, "of an answer the header has arrived, and the body is still on its way: the request is not over")
			go func() {
				io.WriteString(theirs, "thank you")
				theirs.Close()
			}()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "thank you", string(text))
			resp.Body.Close()
			require.NoError(t, finished(t, done, "the answer has arrived, and its body is closed: so is Drain"))
			require.Equal(t, "draining", b.State())
		})
	})

	t.Run("is_not_held_up_by_idle_connections", func(t *testing.T) {
		gate, entered := make(chan struct{}), make(chan struct{}, 1)
		open := sync.OnceFunc(func() { close(gate) })
		closed := make(chan struct{}, 10)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				entered <- struct{}{}
				<-gate
			}
			io.WriteString(w, "soup")
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		server.Start()
		defer server.Close()
		defer open()

		b, err := balancer.NewBackend("kitchen", server.Listener.Addr().String(), 1)
		require.NoError(t, err)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: leastconn.Count(drain.Refuse(transport, b), b), Timeout: 5 * time.Second}
		get := func(path string) (body string, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("RoundTrip panicked with %v", p)
				}
			}()
			resp, err := client.Get(server.URL + path)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			return string(text), err
		}
		type answer struct {
			text string
			err  error
		}
		slow := make(chan answer, 1)
		go func() {
			text, err := get("/slow")
			slow <- answer{text, err}
		}()
		await(t, entered, "a request must reach the backend")
		text, err := get("/fast") // on a second connection, which is idle from now on
		require.NoError(t, err)
		require.Equal(t, "soup", text)

		done := draining(t.Context(), b)
		eventually(t, func() bool { return b.State() == "draining" || len(done) > 0 })
		require.Empty(t, done, "Drain has returned, and a request is still with the backend")
		_, err = get("/fast")
		require.ErrorIs(t, err, drain.ErrDraining, "the backend drains: there is no way for a new request")
		open()
		got := await(t, slow, "the backend has answered")
		require.NoError(t, got.err, "a request was with the backend when it began to drain: it comes to its end")
		require.Equal(t, "soup", got.text)
		require.NoError(t, await(t, done, "the last request is over, and Drain still waits. That there are connections, kept for later requests, is no reason to"))
		assert.Empty(t, closed, "connections that were closed: none, they all are kept for later requests")
	})
}

// hooked is a backend on whose methods something happens, and that counts.
type hooked struct {
	*balancer.Backend
	afterActive, afterNotifyIdle func() // when the method has done its work; nil is nothing
	notified, stopped            int
}

func (h *hooked) Active() int64 {
	n := h.Backend.Active()
	if h.afterActive != nil {
		h.afterActive()
	}
	return n
}

func (h *hooked) NotifyIdle(c chan<- struct{}) func() {
	h.notified++
	stop := h.Backend.NotifyIdle(c)
	if h.afterNotifyIdle != nil {
		h.afterNotifyIdle()
	}
	return sync.OnceFunc(func() {
		h.stopped++
		stop()
	})
}

// counter is a RoundTripper that answers, and counts.
type counter struct {
	requests int
	body     io.ReadCloser // of the answer; nil is none
}

func (c *counter) RoundTrip(*http.Request) (*http.Response, error) {
	c.requests++
	body := c.body
	if body == nil {
		body = http.NoBody
	}
	return &http.Response{StatusCode: http.StatusTeapot, Header: http.Header{}, Body: body}, nil
}

// closer is a body that notes when it is closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

func newBackend(t *testing.T) *balancer.Backend {
	t.Helper()
	b, err := balancer.NewBackend("kitchen", "127.0.0.1:1", 1)
	require.NoError(t, err)
	return b
}

func request(t *testing.T, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://kitchen.test/"+path, nil)
	require.NoError(t, err)
	return req
}

// send makes one request, which must not take long.
func send(t *testing.T, rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	t.Helper()
	type outcome struct {
		resp     *http.Response
		err      error
		panicked any
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.resp, o.err = rt.RoundTrip(req)
	}()
	got := await(t, done, "RoundTrip has not returned. What it refuses is not sent, so nobody reads its body: close it, and no more")
	require.Nil(t, got.panicked, "RoundTrip panicked. The request's Body is nil where there is none (here it is: %t)", req.Body == nil)
	return got.resp, got.err
}

// draining calls Drain. What it returns arrives on the channel.
func draining(ctx context.Context, b drain.Backend) <-chan error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("Drain panicked with %v", p)
			}
		}()
		done <- drain.Drain(ctx, b)
	}()
	return done
}

// finished is what Drain returns within a second, in a bubble.
func finished(t *testing.T, done <-chan error, why string) error {
	t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	select {
	case err := <-done:
		return err
	default:
	}
	require.Fail(t, "Drain has not returned", why)
	return nil
}

// spins is set while a bubble runs, and stays so when it does not end: the
// others need not be waited for then.
var spins atomic.Bool

// bubble runs f where time is at its command (testing/synctest). A loop that
// never rests would hang a bubble for ever, so a clock outside watches.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	require.False(t, spins.Load(), "not tried: an earlier Drain does not rest, and keeps the processor busy")
	spins.Store(true)
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		synctest.Test(t, f)
	}()
	r := await(t, ended, "Drain does not rest. It must wait for a channel, and not look at Active again and again")
	spins.Store(false)
	require.Nil(t, r, "Drain waits for something that never comes")
}

// await returns what arrives on event, and fails after a second. A second of
// this program, that is: the time that a busy machine lets all of it stand
// still does not count.
func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	for range 100 {
		select {
		case v := <-event:
			return v
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "nothing happened for a second", why)
	return v
}

// eventually waits until condition holds, or a second has passed.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for range 200 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
