package leastconn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/leastconn"
)

func TestPick(t *testing.T) {
	t.Run("picks_the_less_busy_of_two", func(t *testing.T) {
		pool := backends(t, "a b")
		l := leastconn.New(seeded())
		begin(pool[0], 3)
		begin(pool[1], 1)
		require.Equal(t, map[string]int{"b": 100}, picks(t, l, pool, 100), "a has 3 requests under way, b has 1, and there are no others: each of 100 calls of Pick must return b. Draw two different ones: a backend compared with itself wins, busy as it may be")
		begin(pool[1], 4)
		assert.Equal(t, map[string]int{"a": 100}, picks(t, l, pool, 100), "a has 3 requests under way, b has 5, and there are no others: each of 100 calls of Pick must return a")
		for _, key := range []string{"ann", "bob", "a", "b"} {
			require.Equal(t, "a", pickFor(l, pool, key), "a has 3 requests under way, b has 5, and the key is %s: the key makes no difference", key)
		}
	})

	t.Run("returns_nil_when_none_is_available", func(t *testing.T) {
		l := leastconn.New(seeded())
		require.Equal(t, map[string]int{none: 1}, picks(t, l, nil, 1), "the pool is empty: there is nothing to pick, and that is nil")
		pool := backends(t, "a b c")
		for _, b := range pool {
			b.SetDown(true)
		}
		require.Equal(t, map[string]int{none: 10}, picks(t, l, pool, 10), "a, b and c are down: Pick returns nil")
		pool[1].SetDown(false)
		assert.Equal(t, map[string]int{"b": 10}, picks(t, l, pool, 10), "all were down, and b is up again: there is no second one to draw, and b is the one")
	})

	t.Run("picks_only_what_is_available", func(t *testing.T) {
		pool := numbered(t, 100)
		l := leastconn.New(seeded())
		begin(pool[42], 1000)
		for i, b := range pool {
			if i != 42 {
				b.SetDraining(true)
			}
		}
		require.Equal(t, map[string]int{"42": 100}, picks(t, l, pool, 100), "of 100 backends 99 are draining, and the one left has 1000 requests under way: it is picked all the same")
		pool[7].SetDraining(false)
		assert.Equal(t, map[string]int{"7": 100}, picks(t, l, pool, 100), "of 100 backends 98 are draining; of the other two, 42 has 1000 requests under way, and 7 none: it must be 7")
	})

	t.Run("weighs_requests_against_weight", func(t *testing.T) {
		for _, row := range []struct {
			active [2]int
			weight [2]int
			want   string
			why    string
		}{
			{[2]int{2, 4}, [2]int{1, 4}, "b", "for each unit of weight that is 3 and 1.25: compare (Active + 1) / Weight"},
			{[2]int{1, 12}, [2]int{1, 4}, "a", "for each unit of weight that is 2 and 3.25: compare (Active + 1) / Weight"},
			{[2]int{0, 0}, [2]int{1, 4}, "b", "with this request in it, that is 1 and 0.25 for each unit of weight: without the 1, all that are idle are alike"},
			{[2]int{18, 11}, [2]int{10, 11}, "b", "for each unit of weight that is 1.9 and 1.09: compare them as float64, and not as integers, which drop what is behind the point"},
		} {
			var pool []*balancer.Backend
			for i, name := range []string{"a", "b"} {
				b, err := balancer.NewBackend(name, "127.0.0.1:80", row.weight[i])
				require.NoError(t, err)
				begin(b, row.active[i])
				pool = append(pool, b)
			}
			require.Equal(t, map[string]int{row.want: 100}, picks(t, leastconn.New(seeded()), pool, 100),
				"a has %d requests under way and weight %d, b has %d and weight %d; %s",
				row.active[0], row.weight[0], row.active[1], row.weight[1], row.why)
		}
	})

	t.Run("leaves_it_to_chance_where_all_are_as_busy", func(t *testing.T) {
		pool := numbered(t, 10)
		got := picks(t, leastconn.New(seeded()), pool, 2000)
		for _, b := range pool {
			require.InDelta(t, 200, got[b.Name()], 80, "10 backends, all idle, 2000 calls of Pick: each should get about 200, and backend %s got %d. Several balancers that all find the same one the best will all rush at it", b.Name(), got[b.Name()])
		}
	})

	t.Run("draws_each_two_as_likely", func(t *testing.T) {
		const calls, n = 20_000, 5
		pool := numbered(t, n)
		for i, b := range pool {
			begin(b, i)
		}
		got := picks(t, leastconn.New(seeded()), pool, calls)
		for i, b := range pool {
			want := calls * 2 * (n - 1 - i) / (n * (n - 1)) // of the 10 pairs, those with a busier one
			require.InDelta(t, want, got[b.Name()], 500, "backends 0 to 4 have 0 to 4 requests under way, and Pick is called %d times: they got %v. Of 10 pairs, 4 have backend 0 in them, and 3, 2, 1 and 0 have 1, 2, 3 and 4 as the less busy one, so backend %d should get about %d. Draw two, not more, and let the second be any other one, not the neighbour of the first", calls, got, i, want)
		}
	})

	t.Run("beats_turns_when_one_backend_is_slow", func(t *testing.T) {
		l := leastconn.New(seeded())
		turn := 0
		var two, turns time.Duration
		one, other := numbered(t, 5), numbered(t, 5)
		within(t, func() string {
			two = simulate(one, func(pool []*balancer.Backend) *balancer.Backend { return l.Pick(pool, "") })
			turns = simulate(other, func(pool []*balancer.Backend) *balancer.Backend {
				turn++
				return pool[turn%len(pool)]
			})
			return ""
		})
		assert.Less(t, two, turns/3, "5 backends, one of them ten times slower, 4000 requests: of a hundred requests 99 are done after %v, and after %v where backends just take turns. The slow one is the busy one, so it should get less", two, turns)
	})

	t.Run("draws_by_itself_for_many_callers", func(t *testing.T) {
		pool := numbered(t, 4)
		l := leastconn.New(nil)
		var mu sync.Mutex
		got := map[string]int{}
		within(t, func() string {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					mine := map[string]int{}
					for range 40 {
						mine[pick(l, pool)]++
					}
					mu.Lock()
					defer mu.Unlock()
					for name, n := range mine {
						got[name] += n
					}
				})
			}
			all.Wait()
			return ""
		})
		for _, b := range pool {
			assert.NotZero(t, got[b.Name()], "New(nil), 4 idle backends, 50 callers at once make 2000 picks: each backend must get some. They got %v", got)
		}
	})

	t.Run("costs_the_same_in_a_large_pool", func(t *testing.T) {
		cost := func(pool []*balancer.Backend) time.Duration {
			l := leastconn.New(seeded())
			best := time.Hour
			within(t, func() string {
				for range 5 { // the quickest counts: the others were held up by something else
					start := time.Now()
					for range 100 {
						if pick(l, pool) == none {
							return "all are available, and Pick returned nil"
						}
					}
					best = min(best, time.Since(start))
				}
				return ""
			})
			return max(best, time.Microsecond)
		}
		few, many := cost(numbered(t, 3)), cost(numbered(t, 10_000))
		assert.Less(t, many, 50*few, "100 calls of Pick take %v with 3 backends and %v with 10,000: to draw two costs the same, however many there are", few, many)
	})

	t.Run("allocates_nothing", func(t *testing.T) {
		pool := numbered(t, 100) // what is made for a few may find room on the stack
		l := leastconn.New(nil)
		require.NotContains(t, picks(t, l, pool, 3), none, "100 backends, and all are available")
		assert.Zero(t, testing.AllocsPerRun(100, func() { l.Pick(pool, "") }), "allocations of one Pick, with a pool of 100: a list of those available, made for each request, is work for the garbage collector")
	})
}

func TestCount(t *testing.T) {
	t.Run("counts_from_before_the_request_is_sent", func(t *testing.T) {
		b := backends(t, "a")[0]
		var during int64
		get(t, b, func(*http.Request) (*http.Response, error) {
			during = b.Active()
			return answer("soup"), nil
		}).Body.Close()
		require.EqualValues(t, 1, during, "a request was passed on to next: from Begin, called before, it must count")
	})

	t.Run("counts_until_the_body_was_read_to_its_end", func(t *testing.T) {
		b := backends(t, "a")[0]
		next := answer("")
		next.Body = io.NopCloser(io.MultiReader(strings.NewReader("soup"), readerFunc(func([]byte) (int, error) {
			next.Trailer = http.Header{"Checksum": {"42"}} // as net/http does, with the body's end
			return 0, io.EOF
		})))
		resp := get(t, b, func(*http.Request) (*http.Response, error) { return next, nil })
		answered := b.Active()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "soup", string(text), "the body, passed on")
		assert.Equal(t, http.StatusTeapot, resp.StatusCode, "the status, passed on")
		read := b.Active()
		require.False(t, answered == 0 && read < 0, "a request was sent and its answer read, and the backend's count is %d, below zero: End was called twice, by RoundTrip when it returned (a deferred function runs on every way out), and by what watch was given when the body was over. Once an answer has come, End is for watch alone to call", read)
		require.EqualValues(t, 1, answered, "next returned: the answer's header has come, and its body is still on its way. The request is not over, and must count")
		require.Zero(t, read, "the body was read to its end: the request is over")
		resp.Body.Close()
		assert.Zero(t, b.Active(), "the body was read to its end, which was one End, and then closed, which is no further one")
		assert.Equal(t, "42", resp.Trailer.Get("Checksum"), "next's answer got a trailer when its body came to its end (RFC 9110 §6.5): the answer must be next's own, but for the body. A copy made of it before knows nothing of that")
	})

	t.Run("counts_until_the_body_is_closed_unread", func(t *testing.T) {
		b := backends(t, "a")[0]
		resp := get(t, b, func(*http.Request) (*http.Response, error) {
			resp := answer("soup")
			resp.StatusCode = http.StatusInternalServerError
			return resp, nil
		})
		require.EqualValues(t, 1, b.Active(), "the answer is a 500, and its body is still open: that is no error of next's, and the request must count until its body is over, like that of any other answer")
		resp.Body.Close()
		require.Zero(t, b.Active(), "the body was closed, unread: the request is over")
		resp.Body.Close()
		assert.Zero(t, b.Active(), "the body was closed, which was one End, and closed again, which is no further one")
	})

	t.Run("counts_down_on_an_error", func(t *testing.T) {
		b := backends(t, "a")[0]
		broken := errors.New("connection refused")
		var during int64
		rt := leastconn.Count(roundTripper(func(*http.Request) (*http.Response, error) {
			during = b.Active()
			return nil, broken
		}), b)
		for range 3 {
			resp, err := send(t, rt, request(t.Context(), "http://shop.test/"))
			require.ErrorIs(t, err, broken, "the error is next's")
			require.Equal(t, broken, err, "the error is next's own, as it is, and nothing is added to it")
			require.Nil(t, resp, "next failed, so there is no answer")
		}
		require.False(t, b.Active() < 0, "3 requests failed, one after the other, and the backend's count is %d, below zero: End was called twice for each, by a deferred function and by the lines behind next's error", b.Active())
		require.EqualValues(t, 1, during, "each of 3 requests failed before the next one was sent: while one is sent, there is this one. Those that failed are over, and must not count on: a backend that looks busy for ever gets no work any more")
		assert.Zero(t, b.Active(), "3 requests failed: they are over")
	})

	t.Run("counts_down_when_the_body_breaks_off", func(t *testing.T) {
		b := backends(t, "a")[0]
		broken := errors.New("connection reset")
		resp := get(t, b, func(*http.Request) (*http.Response, error) {
			resp := answer("")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("so"), iotest.ErrReader(broken)))
			return resp, nil
		})
		require.EqualValues(t, 1, b.Active(), "the answer's body is still open: the request must count")
		text, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, broken)
		assert.Equal(t, "so", string(text), "what came of the body")
		assert.Zero(t, b.Active(), "the body broke off: the request is over")
	})

	t.Run("counts_down_when_next_panics", func(t *testing.T) {
		b := backends(t, "a")[0]
		var during int64
		rt := leastconn.Count(roundTripper(func(*http.Request) (*http.Response, error) {
			during = b.Active()
			panic(http.ErrAbortHandler)
		}), b)
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { _, _ = rt.RoundTrip(request(t.Context(), "http://shop.test/")) }, "next panicked: that is not Count's to hide")
		require.EqualValues(t, 1, during, "while next runs, the request counts")
		assert.Zero(t, b.Active(), "next panicked, so RoundTrip was left without a return, and the request is over: only a deferred function runs then")
	})

	t.Run("counts_down_at_once_where_there_is_no_body", func(t *testing.T) {
		b := backends(t, "a")[0]
		var during int64
		get(t, b, func(*http.Request) (*http.Response, error) {
			during = b.Active()
			resp := answer("")
			resp.Body = http.NoBody
			return resp, nil
		})
		require.EqualValues(t, 1, during, "while next runs, the request counts")
		require.False(t, b.Active() < 0, "a request was answered without a body, and the backend's count is %d, below zero: End was called twice, by what watch was given, which is at once where there is no body, and by RoundTrip", b.Active())
		assert.Zero(t, b.Active(), "the answer has no body (http.NoBody), so there is nothing to wait for: watch calls back at once")
	})

	t.Run("counts_down_when_the_request_is_cancelled", func(t *testing.T) {
		b := backends(t, "a")[0]
		server, arrived := slow(t)
		rt := leastconn.Count(server.Client().Transport, b)

		waiting, cancel := context.WithCancel(t.Context())
		defer cancel()
		failed := make(chan error, 1)
		go func() {
			resp, err := rt.RoundTrip(request(waiting, server.URL+"/never"))
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		receive(t, arrived, "the request must reach the server")
		require.EqualValues(t, 1, b.Active(), "the server has the request, and has not answered: it must count")
		cancel()
		require.ErrorIs(t, receive(t, failed, "the request was cancelled"), context.Canceled)
		require.Zero(t, b.Active(), "the request was cancelled before its answer came: it is over")

		reading, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := send(t, rt, request(reading, server.URL+"/endless"))
		require.NoError(t, err)
		defer resp.Body.Close()
		receive(t, arrived, "the request must reach the server")
		require.EqualValues(t, 1, b.Active(), "the answer's header has come, and its body is on its way: it must count")
		cancel()
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, b.Active(), "the request was cancelled while its answer came: it is over")
	})

	t.Run("counts_an_upgraded_connection_until_it_is_closed", func(t *testing.T) {
		b := backends(t, "a")[0]
		near, far := net.Pipe()
		defer far.Close()
		resp := get(t, b, func(*http.Request) (*http.Response, error) {
			resp := answer("")
			resp.StatusCode, resp.Body = http.StatusSwitchingProtocols, near
			return resp, nil
		})
		require.EqualValues(t, 1, b.Active(), "101 Switching Protocols: a WebSocket is open, and counts")
		conn, ok := resp.Body.(io.ReadWriteCloser)
		require.True(t, ok, "101 Switching Protocols: the body is the connection, and must remain an io.Writer. Otherwise no WebSocket gets through (net/http/httputil looks for it)")
		heard := make(chan string, 1)
		go func() {
			p := make([]byte, 5)
			n, _ := io.ReadFull(far, p)
			heard <- string(p[:n])
		}()
		_, err := io.WriteString(conn, "hello")
		require.NoError(t, err)
		assert.Equal(t, "hello", receive(t, heard, "what was written must arrive"))
		conn.Close()
		assert.Zero(t, b.Active(), "the connection was closed: it is over")
	})

	t.Run("counts_each_of_many_at_once", func(t *testing.T) {
		b := backends(t, "a")[0]
		entered, gate := make(chan struct{}, 100), make(chan struct{})
		rt := leastconn.Count(roundTripper(func(r *http.Request) (*http.Response, error) {
			entered <- struct{}{}
			<-gate
			if r.URL.Path == "/bad" {
				return nil, io.ErrUnexpectedEOF
			}
			return answer("soup"), nil
		}), b)
		done := make(chan struct{})
		var all sync.WaitGroup
		for i := range 100 {
			url := []string{"http://shop.test/good", "http://shop.test/bad"}[i%2]
			all.Go(func() {
				if resp, err := rt.RoundTrip(request(context.Background(), url)); err == nil {
					_, _ = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
			})
		}
		go func() { all.Wait(); close(done) }()
		for range 100 {
			receive(t, entered, "100 requests at once: next must be called for each of them. Is a lock held meanwhile?")
		}
		active := b.Active()
		close(gate)
		receive(t, done, "next has returned: so must RoundTrip")
		require.EqualValues(t, 100, active, "100 requests are with next")
		assert.Zero(t, b.Active(), "100 requests are over, half of them failed")
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		pool := numbered(b, n)
		b.Run(fmt.Sprintf("backends=%d", n), func(b *testing.B) {
			l := leastconn.New(nil)
			b.ReportAllocs()
			for b.Loop() {
				l.Pick(pool, "")
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	backend := backends(b, "a")[0]
	resp := answer("")
	rt := leastconn.Count(roundTripper(func(*http.Request) (*http.Response, error) {
		resp.Body = io.NopCloser(strings.NewReader("soup"))
		return resp, nil
	}), backend)
	req := request(context.Background(), "http://shop.test/")
	b.ReportAllocs()
	for b.Loop() {
		if resp, err := rt.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
}

// simulate sends 4000 requests, at random moments, to pool, in a time of its
// own. A backend takes 10 ms for each, one after the other, and the fifth one
// 100. It returns what 99 of 100 requests took at most.
func simulate(pool []*balancer.Backend, pick func([]*balancer.Backend) *balancer.Backend) time.Duration {
	r := rand.New(rand.NewPCG(3, 4))
	free := map[*balancer.Backend]time.Duration{} // since when each has had nothing to do
	type end struct {
		at      time.Duration
		backend *balancer.Backend
	}
	var now time.Duration
	var running []end
	var took []time.Duration
	for range 4000 {
		now += time.Duration(r.ExpFloat64() * float64(5*time.Millisecond))
		running = slices.DeleteFunc(running, func(e end) bool {
			if e.at <= now {
				e.backend.End()
			}
			return e.at <= now
		})
		b := pick(pool)
		if b == nil {
			return time.Hour
		}
		service := 10 * time.Millisecond
		if b == pool[4] {
			service *= 10
		}
		b.Begin()
		free[b] = max(free[b], now) + service
		running = append(running, end{free[b], b})
		took = append(took, free[b]-now)
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// none stands for a Pick that returned nil.
const none = "nil"

// pick is the name of what Pick returns.
func pick(l *leastconn.LeastConn, pool []*balancer.Backend) string { return pickFor(l, pool, "") }

// pickFor is that for a request of this key. A panic is its answer, too.
func pickFor(l *leastconn.LeastConn, pool []*balancer.Backend, key string) (name string) {
	defer func() {
		if p := recover(); p != nil {
			name = fmt.Sprintf("panic (%v, %s)", p, regexp.MustCompile(`leastconn\.go:\d+`).FindString(string(debug.Stack())))
		}
	}()
	if b := l.Pick(pool, key); b != nil {
		return b.Name()
	}
	return none
}

// picks counts the names of n of them. It fails if that takes long.
func picks(t *testing.T, l *leastconn.LeastConn, pool []*balancer.Backend, n int) map[string]int {
	t.Helper()
	all := map[string]int{}
	within(t, func() string {
		for range n {
			all[pick(l, pool)]++
		}
		return ""
	})
	return all
}

// within fails unless f returns soon, and "".
func within(t *testing.T, f func() (fault string)) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- f() }()
	require.Empty(t, receive(t, done, "Pick has not returned. Does its loop end when there is no second backend?"))
}

// receive takes what comes out of c, which must not be long in coming.
func receive[T any](t *testing.T, c <-chan T, why string) (v T) {
	t.Helper()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case v = <-c:
			return v
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "no end", "after a second: %s", why)
	return v
}

// seeded is chance that is the same in each run.
func seeded() func(int) int { return rand.New(rand.NewPCG(1, 2)).IntN }

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func request(ctx context.Context, url string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err) // the URL is this test's
	}
	return r
}

// send makes one request, which must not take long.
func send(t *testing.T, rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	t.Helper()
	type outcome struct {
		resp *http.Response
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		resp, err := rt.RoundTrip(req)
		done <- outcome{resp, err}
	}()
	got := receive(t, done, "next has answered, and RoundTrip has not returned. It must not wait for the body: an answer may go on for hours")
	return got.resp, got.err
}

// get makes one request of b, which next answers.
func get(t *testing.T, b *balancer.Backend, next roundTripper) *http.Response {
	t.Helper()
	resp, err := send(t, leastconn.Count(next, b), request(t.Context(), "http://shop.test/"))
	require.NoError(t, err, "next answered without an error")
	require.NotNil(t, resp, "next answered, and RoundTrip returned no answer")
	return resp
}

func answer(text string) *http.Response {
	return &http.Response{StatusCode: http.StatusTeapot, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
}

// slow is a server that never comes to the end of an answer. It tells of each
// request.
func slow(t *testing.T) (server *httptest.Server, arrived <-chan struct{}) {
	c := make(chan struct{}, 2)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			_, _ = io.WriteString(w, "soup")
			_ = http.NewResponseController(w).Flush()
		}
		c <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server, c
}

func begin(b *balancer.Backend, n int) {
	for range n {
		b.Begin()
	}
}

// backends are available, and have these names.
func backends(t testing.TB, names string) (pool []*balancer.Backend) {
	t.Helper()
	for _, name := range strings.Fields(names) {
		b, err := balancer.NewBackend(name, "127.0.0.1:80", 1)
		require.NoError(t, err)
		pool = append(pool, b)
	}
	return pool
}

// numbered are named by their place.
func numbered(t testing.TB, n int) []*balancer.Backend {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return backends(t, strings.Join(names, " "))
}
