package checks_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/checks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Against real servers, with real time.

func TestServers(t *testing.T) {
	t.Run("takes_out_what_fails_and_brings_it_back", func(t *testing.T) {
		var fails atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if fails.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer server.Close()
		events, stop := run(t, pool(t, backend(t, "a", server)), checks.Config{})
		defer stop()
		fails.Store(true)
		assert.Equal(t, "a down: checks: a: GET /: status 503, want 200", receive(t, events))
		fails.Store(false)
		assert.Equal(t, "a up", receive(t, events))
	})

	t.Run("takes_out_what_hangs_and_brings_it_back", func(t *testing.T) {
		for _, tt := range []struct{ name, begins string }{
			{"before the answer", ""},
			{"in the middle of it", "so"},
		} {
			var hangs atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if hangs.Load() {
					if tt.begins != "" {
						_, _ = io.WriteString(w, tt.begins)
						_ = http.NewResponseController(w).Flush()
					}
					<-r.Context().Done()
				}
			}))
			hangs.Store(true) // from the start: with so short a timeout, a busy machine's server might hang by itself
			events, stop := run(t, pool(t, backend(t, "a", server)), checks.Config{Timeout: 20 * time.Millisecond})
			got := receive(t, events)
			assert.Contains(t, got, "a down: checks: a: GET /: ", tt.name)
			assert.Contains(t, got, "deadline exceeded", tt.name)
			hangs.Store(false)
			assert.Equal(t, "a up", receive(t, events), tt.name)
			stop()
			server.Close()
		}
	})

	t.Run("takes_out_what_is_gone", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		b := backend(t, "a", server)
		events, stop := run(t, pool(t, b), checks.Config{Status: 404, Timeout: 200 * time.Millisecond}) // Windows takes seconds to find a port closed
		defer stop()
		server.Close()
		assert.Contains(t, receive(t, events), "a down: checks: a: GET /: ")
		assert.Equal(t, "down", b.State())
	})

	t.Run("takes_out_what_hangs_up_and_brings_it_back", func(t *testing.T) {
		var hangsUp atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hangsUp.Load() {
				panic(http.ErrAbortHandler)
			}
		}))
		defer server.Close()
		events, stop := run(t, pool(t, backend(t, "a", server)), checks.Config{})
		defer stop()
		hangsUp.Store(true)
		assert.Contains(t, receive(t, events), "a down: checks: a: GET /: ") // EOF, mostly
		hangsUp.Store(false)
		assert.Equal(t, "a up", receive(t, events))
	})

	t.Run("opens_a_connection_for_each_check", func(t *testing.T) {
		seen := make(chan string, 1000)
		var connections atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Host, " ", r.UserAgent(), " ", r.Header.Get("Accept-Encoding"))
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		defer server.Close()
		b := backend(t, "a", server)
		_, stop := run(t, pool(t, b), checks.Config{Path: "/health?deep=1", Host: "shop.test", Status: 302})
		for range 4 {
			assert.Equal(t, "GET /health?deep=1 shop.test health-check ", receive(t, seen))
		}
		stop()
		assert.GreaterOrEqual(t, connections.Load(), int64(4+len(seen)), "connections, and checks")
		assert.Equal(t, "up", b.State(), "302 was asked for")
	})
}

// Against a made-up transport, in a time of its own.

func TestRun(t *testing.T) {
	t.Run("checks_at_intervals_that_vary", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var at []time.Duration
			transport := roundTripper(func(*http.Request) (*http.Response, error) {
				at = append(at, time.Since(began))
				time.Sleep(500 * time.Millisecond)
				return answer(200), nil
			})
			_, stop := run(t, pool(t, named(t, "a")), checks.Config{Interval: 10 * time.Second, Transport: transport})
			time.Sleep(10 * time.Minute)
			stop()
			require.Zero(t, at[0], "the first check comes at once")
			require.InDelta(t, 60, len(at), 7, "checks in ten minutes")
			distinct := map[time.Duration]bool{}
			for i := range len(at) - 1 {
				gap := at[i+1] - at[i]
				distinct[gap] = true
				require.GreaterOrEqual(t, gap, 9*time.Second)
				require.LessOrEqual(t, gap, 11*time.Second)
			}
			require.Greater(t, len(distinct), len(at)/2, "the intervals differ")
		})
	})

	t.Run("follows_rise_and_fall", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			results := "+--+---++-+-+++" // fall 3 at the 7th, rise 3 at the last
			n := 0
			transport := roundTripper(func(*http.Request) (*http.Response, error) {
				n++
				if n > len(results) || results[n-1] == '+' {
					return answer(200), nil
				}
				return answer(500), nil
			})
			began := time.Now()
			b := named(t, "a")
			var at []int
			_, stop := run(t, pool(t, b), checks.Config{
				Rise: 3, Fall: 3, Transport: transport,
				OnChange: func(changed *balancer.Backend, up bool, err error) {
					assert.Same(t, b, changed)
					assert.Equal(t, up, err == nil)
					assert.Equal(t, up, b.Available())
					at = append(at, n)
				},
			})
			time.Sleep(time.Minute)
			stop()
			require.Equal(t, []int{7, 15}, at, "the checks that changed something, until %s", time.Since(began))
		})
	})

	t.Run("makes_another_check_in_place_of_the_GET", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := named(t, "a")
			began := time.Now()
			events, stop := run(t, pool(t, b), checks.Config{
				Interval: 10 * time.Second, Timeout: time.Second, Fall: 1,
				Check: func(ctx context.Context, asked *balancer.Backend) error {
					assert.Same(t, b, asked)
					<-ctx.Done()
					return fmt.Errorf("hung: %w", ctx.Err())
				},
			})
			assert.Equal(t, "a down: hung: context deadline exceeded", receive(t, events))
			assert.Equal(t, time.Second, time.Since(began), "the time that a check may take")
			stop()
		})
	})

	t.Run("begins_in_the_state_that_the_backend_is_in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := named(t, "a")
			b.SetDown(true)
			n := 0
			transport := roundTripper(func(*http.Request) (*http.Response, error) {
				n++
				assert.Equal(t, n > 2, b.Available(), "before check %d", n)
				return answer(200), nil
			})
			events, stop := run(t, pool(t, b), checks.Config{Rise: 2, Transport: transport})
			time.Sleep(time.Minute)
			stop()
			require.Equal(t, "a up", <-events)
		})
	})

	t.Run("lifts_down_also_from_one_that_drains", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := named(t, "a")
			b.SetDown(true)
			b.SetDraining(true)
			_, stop := run(t, pool(t, b), checks.Config{Transport: always(200)})
			time.Sleep(time.Minute)
			stop()
			require.Equal(t, "draining", b.State())
			b.SetDraining(false)
			require.Equal(t, "up", b.State())
		})
	})

	t.Run("follows_the_pool", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ofA, ofSlow, calledOff atomic.Int64
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "slow:80" {
					ofSlow.Add(1)
					<-r.Context().Done()
					calledOff.Add(1)
					return nil, r.Context().Err()
				}
				ofA.Add(1)
				return answer(200), nil
			})
			p := pool(t)
			_, stop := run(t, p, checks.Config{Interval: 10 * time.Second, Timeout: time.Hour, Fall: 1, Transport: transport})
			time.Sleep(61 * time.Second)
			slow := named(t, "slow")
			require.NoError(t, p.Add(named(t, "a")))
			require.NoError(t, p.Add(slow))
			time.Sleep(10 * time.Second)
			require.EqualValues(t, 1, ofA.Load(), "it was added, and an interval has passed")
			require.EqualValues(t, 1, ofSlow.Load())
			p.Remove("slow")
			time.Sleep(11 * time.Second)
			require.EqualValues(t, 1, calledOff.Load(), "the check of what left is called off")
			require.Equal(t, "up", slow.State(), "and says nothing")
			p.Remove("a")
			time.Sleep(11 * time.Second)
			before := ofA.Load()
			time.Sleep(time.Hour)
			require.Equal(t, before, ofA.Load())
			require.EqualValues(t, 1, ofSlow.Load())
			stop()
		})
	})

	t.Run("holds_nobody_up_and_keeps_the_bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running, most, slow, quick atomic.Int64
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				now := running.Add(1)
				for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
				}
				defer running.Add(-1)
				if strings.HasPrefix(r.URL.Host, "slow") {
					slow.Add(1)
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				quick.Add(1)
				return answer(200), nil
			})
			p := pool(t)
			for i := range 3 {
				require.NoError(t, p.Add(named(t, fmt.Sprint("slow", i))))
			}
			for i := range 7 {
				require.NoError(t, p.Add(named(t, fmt.Sprint("quick", i))))
			}
			events, stop := run(t, p, checks.Config{Interval: 10 * time.Second, Timeout: 9 * time.Second, Fall: 1, Parallel: 4, Transport: transport})
			time.Sleep(100 * time.Second)
			stop()
			assert.EqualValues(t, 4, most.Load(), "checks at once")
			assert.InDelta(t, 70, quick.Load(), 10)
			assert.InDelta(t, 30, slow.Load(), 5)
			assert.Len(t, events, 3)
		})
	})

	t.Run("gives_each_its_turn_where_there_is_room_for_one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			seen := map[string]int{}
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				seen[r.URL.Host]++ // no two at once
				time.Sleep(time.Second)
				return answer(200), nil
			})
			_, stop := run(t, pool(t, named(t, "a"), named(t, "b"), named(t, "c")), checks.Config{Interval: time.Second, Timeout: 2 * time.Second, Parallel: 1, Transport: transport})
			time.Sleep(90 * time.Second)
			stop()
			require.Len(t, seen, 3)
			for name, n := range seen {
				assert.InDelta(t, 30, n, 3, name)
			}
		})
	})

	t.Run("takes_nobody_down_when_it_stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := named(t, "a")
			ended := false
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				time.Sleep(time.Second) // it takes its time
				ended = true
				return nil, r.Context().Err()
			})
			events, stop := run(t, pool(t, b), checks.Config{Fall: 1, Timeout: time.Minute, Transport: transport})
			synctest.Wait()
			stop()
			require.True(t, ended, "Run waits for its checks")
			require.Equal(t, "up", b.State())
			require.Empty(t, events)
		})
	})
}

func TestNew(t *testing.T) {
	t.Run("names_all_faults_of_its_config", func(t *testing.T) {
		_, err := checks.New(&balancer.Pool{}, checks.Config{Path: "health", Status: 99, Interval: -1, Rise: -1})
		for _, part := range []string{`path "health"`, "status 99", "-1ns", "rise -1"} {
			assert.ErrorContains(t, err, part)
		}
		_, err = checks.New(&balancer.Pool{}, checks.Config{Path: "http://elsewhere.test/"})
		assert.Error(t, err)
	})
}

// run runs a checker. Quick, unless config says otherwise. What changes arrives
// on events, and stop waits.
func run(t *testing.T, p *balancer.Pool, config checks.Config) (events <-chan string, stop func()) {
	t.Helper()
	c := make(chan string, 100)
	if config.OnChange == nil {
		config.OnChange = func(b *balancer.Backend, up bool, err error) {
			if up {
				c <- b.Name() + " up"
			} else {
				c <- fmt.Sprintf("%s down: %v", b.Name(), err)
			}
		}
	}
	if config.Interval == 0 && config.Transport == nil {
		config.Interval = 5 * time.Millisecond
	}
	checker, err := checks.New(p, config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		checker.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return c, stop
}

// receive takes what comes out of c, which must not be long in coming.
func receive(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(5 * time.Second):
		require.Fail(t, "nothing happened for five seconds")
		return ""
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func always(status int) roundTripper {
	return func(*http.Request) (*http.Response, error) { return answer(status), nil }
}

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: http.NoBody}
}

func pool(t *testing.T, backends ...*balancer.Backend) *balancer.Pool {
	t.Helper()
	p, err := balancer.NewPool(backends...)
	require.NoError(t, err)
	return p
}

// named is a backend that is nowhere.
func named(t *testing.T, name string) *balancer.Backend {
	t.Helper()
	b, err := balancer.NewBackend(name, name+":80", 1)
	require.NoError(t, err)
	return b
}

func backend(t *testing.T, name string, server *httptest.Server) *balancer.Backend {
	t.Helper()
	b, err := balancer.NewBackend(name, server.Listener.Addr().String(), 1)
	require.NoError(t, err)
	return b
}
