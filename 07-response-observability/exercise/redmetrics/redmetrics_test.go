package redmetrics_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/07-response-observability/exercise/redmetrics"
)

const (
	requests = "http_requests_total"
	failed   = "http_request_errors_total"
	duration = "http_request_duration_seconds"
	inFlight = "http_requests_in_flight"
)

// tally is a Metrics, and the registry that it counts into.
type tally struct {
	*redmetrics.Metrics
	reg *prometheus.Registry
}

func newTally(t testing.TB) tally {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := redmetrics.New(redmetrics.Config{Registerer: reg})
	require.NoError(t, err)
	return tally{m, reg}
}

// serve has h answer r behind Wrap, and returns what panicked, or nil.
func (m tally) serve(t *testing.T, r *http.Request, h http.HandlerFunc) (panicked any) {
	t.Helper()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		m.Wrap(h).ServeHTTP(httptest.NewRecorder(), r)
	}()
	select {
	case panicked = <-done:
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "stuck", "%s %s: the wrapped handler has not returned. %s", r.Method, r.URL, hint)
	}
	if err, ok := panicked.(error); ok && err != http.ErrAbortHandler {
		require.NoError(t, err, "%s %s: Wrap's handler panicked", r.Method, r.URL)
	}
	return panicked
}

// hint is what to think about when a handler does not return.
const hint = "Is there a loop that does not end, a way out that does not unlock, or a Lock where it is locked already?"

// patience is how long a handler may take. Once one has not returned, the others are
// not waited for as long.
var patience = 3 * time.Second

// bubble runs f where time is at its command (testing/synctest). A lock that is not
// given back would hang a bubble for ever, so a clock outside watches.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	soon(t, "the wrapped handler", func() { synctest.Test(t, f) })
}

// soon fails unless f returns soon.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { ended <- fault }() // also where f failed, and this goroutine with it
		fault = panics.In(f)
	}()
	select {
	case fault := <-ended:
		require.Empty(t, fault, "%s waits for something that never comes, or has panicked", what)
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "stuck", "%s has not returned. %s", what, hint)
	}
}

// shut closes server, which waits for its handlers, but not for ever.
func shut(server *httptest.Server) {
	closed := make(chan struct{})
	go func() { defer close(closed); server.Close() }()
	select {
	case <-closed:
	case <-time.After(patience):
		patience = 200 * time.Millisecond
	}
}

// ask is serve for a GET of a handler that notes a route, and answers by that status.
func (m tally) ask(t *testing.T, route string, status int) {
	t.Helper()
	m.serve(t, get(route), func(w http.ResponseWriter, r *http.Request) {
		redmetrics.SetRoute(r.Context(), route)
		w.WriteHeader(status)
	})
}

// series are all series of the metric of that name, each with its labels in words.
func (m tally) series(t *testing.T, name string) (found []*dto.Metric, text string) {
	t.Helper()
	families, err := m.reg.Gather()
	require.NoError(t, err)
	var lines []string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		found = family.GetMetric()
		for _, s := range found {
			n := max(s.GetCounter().GetValue(), s.GetGauge().GetValue(), float64(s.GetHistogram().GetSampleCount()))
			lines = append(lines, fmt.Sprintf("%s%v is %v", name, labels(s), n))
		}
	}
	if text = strings.Join(lines[:min(len(lines), 10)], "\n"); text == "" {
		text = "no series of " + name
	}
	return found, text
}

func labels(s *dto.Metric) []string {
	var list []string
	for _, l := range s.GetLabel() {
		list = append(list, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(list) // method, route, status
	return list
}

// of is the series of name with exactly these labels, as in "route=/menu".
func (m tally) of(t *testing.T, why, name string, want ...string) *dto.Metric {
	t.Helper()
	found, text := m.series(t, name)
	for _, s := range found {
		if slices.Equal(labels(s), want) {
			return s
		}
	}
	require.Fail(t, "not counted", "%s: wanted %s%v. There is:\n%s", why, name, want, text)
	return nil
}

// counted asserts that the counter of these labels is n.
func (m tally) counted(t *testing.T, why string, n float64, name string, want ...string) {
	t.Helper()
	s := m.of(t, why, name, want...)
	require.Equal(t, n, s.GetCounter().GetValue(), "%s: the counter %s%v", why, name, want)
}

// noError asserts that no error was counted with these labels. A counter that is not
// there is as good here: see TestErrors/are_counted_from_zero.
func (m tally) noError(t *testing.T, why string, want ...string) {
	t.Helper()
	found, text := m.series(t, failed)
	for _, s := range found {
		if slices.Equal(labels(s), want) {
			require.Zero(t, s.GetCounter().GetValue(), "%s. There is:\n%s", why, text)
		}
	}
}

// flying is the gauge of what is in flight.
func (m tally) flying(t *testing.T) float64 {
	t.Helper()
	found, text := m.series(t, inFlight)
	require.Len(t, found, 1, text)
	return found[0].GetGauge().GetValue()
}

func get(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

func TestRequests(t *testing.T) {
	t.Run("counts_a_request", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusOK)
		m.counted(t, "GET of the route /menu, answered with 200", 1, requests, "method=GET", "route=/menu", "status=2xx")
		m.ask(t, "/menu", http.StatusOK)
		m.counted(t, "the same request twice", 2, requests, "method=GET", "route=/menu", "status=2xx")
	})

	t.Run("names_the_route_and_not_the_path", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/orders/17"), func(_ http.ResponseWriter, r *http.Request) { redmetrics.SetRoute(r.Context(), "/orders/:id") })
		m.counted(t, "GET /orders/17, which the router has found to be of the route /orders/:id. There are as many paths as orders, and each would be a series, kept for weeks (see Route, once the handler has run)",
			1, requests, "method=GET", "route=/orders/:id", "status=2xx")
	})

	t.Run("says_none_where_there_is_no_route", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/wp-admin"), func(http.ResponseWriter, *http.Request) {})
		m.counted(t, "GET /wp-admin, for which the router has noted no route", 1, requests, "method=GET", "route=none", "status=2xx")
	})

	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"} {
		t.Run("names_the_method_"+method, func(t *testing.T) {
			m := newTally(t)
			m.serve(t, httptest.NewRequest(method, "/orders", nil), func(http.ResponseWriter, *http.Request) {})
			m.counted(t, method+" is a method that HTTP defines", 1, requests, "method="+method, "route=none", "status=2xx")
		})
	}

	for _, test := range []struct{ name, method string }{
		{"says_other_of_a_method_that_there_is_not", "BREW"},
		{"says_other_of_a_method_in_small_letters", "get"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTally(t)
			m.serve(t, httptest.NewRequest(test.method, "/menu", nil), func(http.ResponseWriter, *http.Request) {})
			m.counted(t, fmt.Sprintf("the request's method was %q, which HTTP does not define. A client may send any word as one, and each would be a series", test.method),
				1, requests, "method=other", "route=none", "status=2xx")
		})
	}

	for _, test := range []struct {
		status int
		class  string
	}{{201, "2xx"}, {304, "3xx"}, {400, "4xx"}, {499, "4xx"}, {503, "5xx"}, {700, "5xx"}} {
		t.Run(fmt.Sprintf("says_%s_of_%d", test.class, test.status), func(t *testing.T) {
			m := newTally(t)
			m.ask(t, "/menu", test.status)
			m.counted(t, fmt.Sprintf("the handler answered with %d. Before it has run, nobody knows: that goes for the arguments of a deferred call, too, which Go works out at the defer", test.status),
				1, requests, "method=GET", "route=/menu", "status="+test.class)
		})
	}

	t.Run("says_2xx_of_a_handler_that_writes_nothing", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) {})
		m.counted(t, "the handler wrote nothing: net/http sends 200 then", 1, requests, "method=GET", "route=none", "status=2xx")
	})

	t.Run("takes_no_early_hint_for_the_answer", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/menu"), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		})
		m.counted(t, "the handler sent 103 (Early Hints), and then answered with 404", 1, requests, "method=GET", "route=none", "status=4xx")
	})
}

func TestPanics(t *testing.T) {
	t.Run("are_a_500", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) { panic("burnt") })
		m.counted(t, "the handler panicked before it wrote anything (what is deferred runs in a panic, too)", 1, requests, "method=GET", "route=none", "status=5xx")
	})
	t.Run("are_a_500_in_the_midst_of_an_answer", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/menu"), func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half a")
			panic(http.ErrAbortHandler)
		})
		m.counted(t, "the handler began its answer with 200, and panicked with http.ErrAbortHandler: the client got half of it, which is no success", 1, requests, "method=GET", "route=none", "status=5xx")
	})
	for _, value := range []any{"burnt", http.ErrAbortHandler} {
		t.Run(fmt.Sprintf("go_on_with_%T", value), func(t *testing.T) {
			m := newTally(t)
			panicked := m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) { panic(value) })
			require.Equal(t, value, panicked, "the handler panicked with %q: the same panic goes on, to recovery or to net/http, which cut the connection. If it is stopped here, half an answer looks like a whole one", value)
			m.counted(t, fmt.Sprintf("the handler panicked with %q", value), 1, requests, "method=GET", "route=none", "status=5xx")
		})
	}
}

func TestErrors(t *testing.T) {
	t.Run("are_what_was_answered_with_500_and_above", func(t *testing.T) {
		for _, status := range []int{500, 503} {
			m := newTally(t)
			m.ask(t, "/menu", status)
			m.counted(t, fmt.Sprintf("the handler answered with %d", status), 1, failed, "method=GET", "route=/menu")
		}
	})
	t.Run("are_not_a_clients_mistakes", func(t *testing.T) {
		for _, status := range []int{400, 401, 404, 429, 499} {
			m := newTally(t)
			m.ask(t, "/menu", status)
			m.counted(t, fmt.Sprintf("the handler answered with %d: a request", status), 1, requests, "method=GET", "route=/menu", "status=4xx")
			m.noError(t, fmt.Sprintf("the handler answered with %d, which is the client's mistake. An alarm that every scanner of the internet can set off is soon ignored", status), "method=GET", "route=/menu")
		}
	})
	t.Run("are_counted_from_zero", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusOK)
		m.counted(t, "all went well so far: the counter is there already, and 0. One that begins with 1 shows no step, so nobody would see the first error (WithLabelValues makes a counter)", 0, failed, "method=GET", "route=/menu")
	})
	t.Run("are_counted_from_zero_beside_a_clients_mistake", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusNotFound)
		m.counted(t, "the handler answered with 404, which is no error: the counter is there already, and 0, whatever the status was. One that begins with 1 shows no step", 0, failed, "method=GET", "route=/menu")
	})
	t.Run("are_panics", func(t *testing.T) {
		m := newTally(t)
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) { panic("burnt") })
		m.counted(t, "the handler panicked", 1, failed, "method=GET", "route=none")
	})
	t.Run("stay_apart_by_route", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusOK)
		m.ask(t, "/orders", http.StatusInternalServerError)
		m.noError(t, "GET /menu went well, and GET /orders did not", "method=GET", "route=/menu")
		m.counted(t, "GET /menu went well, and GET /orders did not", 1, failed, "method=GET", "route=/orders")
	})
}

func TestClientThatLeft(t *testing.T) {
	// leave has h answer a request whose context ends in the midst of it, as end says,
	// and returns what panicked, or nil.
	leave := func(t *testing.T, m tally, end func(context.Context) (context.Context, context.CancelFunc), h http.HandlerFunc) (panicked any) {
		t.Helper()
		r := get("/menu")
		ctx, stop := end(r.Context())
		defer stop()
		return m.serve(t, r.WithContext(ctx), func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Err() == nil {
				stop()
			}
			h(w, r)
		})
	}
	for _, test := range []struct {
		name, status, what string
		handler            http.HandlerFunc
	}{
		{"is_a_499_if_there_was_no_answer", "4xx", "the client left, and the handler noticed, and returned", func(http.ResponseWriter, *http.Request) {}},
		{"is_a_499_if_the_answer_is_an_error", "4xx", "the client left, so that the query was cancelled, of which the handler made a 503 that nobody reads: as our error it would wake somebody for each closed laptop", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{"is_a_499_if_the_answer_broke_off", "4xx", "the client left in the midst of an answer, which a proxy cannot finish then (http.ErrAbortHandler): no error of ours", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half a")
			panic(http.ErrAbortHandler)
		}},
		{"is_a_499_if_the_handler_panicked", "4xx", "the client left, and the handler panicked before it answered, with something that is not http.ErrAbortHandler: a 499 all the same, since nobody was there to be failed. The panic goes on, to the log, where a bug is found", func(http.ResponseWriter, *http.Request) {
			panic("burnt")
		}},
		{"keeps_the_status_of_a_304", "3xx", "the client had an answer of 304, which has no body, and left: an answer that was begun below 500 keeps its status", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotModified)
		}},
		{"keeps_the_status_of_what_was_begun", "2xx", "the client had an answer of 200 that streams for as long as it likes, and left", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "event: dish\n\n")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTally(t)
			leave(t, m, context.WithCancel, test.handler)
			m.counted(t, test.what, 1, requests, "method=GET", "route=none", "status="+test.status)
		})
	}
	t.Run("is_no_error", func(t *testing.T) {
		m := newTally(t)
		leave(t, m, context.WithCancel, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		m.counted(t, "the client left, and the handler answered with 502: it is counted as a request", 1, requests, "method=GET", "route=none", "status=4xx")
		m.noError(t, "the client left, and the handler answered with 502: it is not counted as an error", "method=GET", "route=none")
	})
	t.Run("has_its_counter_of_errors", func(t *testing.T) {
		m := newTally(t)
		leave(t, m, context.WithCancel, func(http.ResponseWriter, *http.Request) {})
		m.counted(t, "the client left, which is no error: the counter is there all the same, and 0. One that begins with 1 shows no step", 0, failed, "method=GET", "route=none")
	})
	t.Run("is_timed", func(t *testing.T) {
		m := newTally(t)
		leave(t, m, context.WithCancel, func(http.ResponseWriter, *http.Request) {})
		const why = "the client left: the time until then is observed all the same. Those who leave are those who waited longest, and without them the slow hour looks like a quick one"
		h := m.of(t, why, duration, "method=GET", "route=none").GetHistogram()
		require.EqualValues(t, 1, h.GetSampleCount(), "%s: the observations of %s", why, duration)
	})
	for _, value := range []any{"burnt", http.ErrAbortHandler} {
		t.Run(fmt.Sprintf("lets_a_panic_go_on_with_%T", value), func(t *testing.T) {
			m := newTally(t)
			panicked := leave(t, m, context.WithCancel, func(http.ResponseWriter, *http.Request) { panic(value) })
			require.Equal(t, value, panicked, "the client left, and the handler panicked with %q: the same panic goes on, to recovery or to net/http. If it is stopped here, no log ever tells of it", value)
			m.counted(t, fmt.Sprintf("the client left, and the handler panicked with %q", value), 1, requests, "method=GET", "route=none", "status=4xx")
		})
	}
	t.Run("is_not_one_who_waited_too_long", func(t *testing.T) {
		m := newTally(t)
		over := func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Unix(0, 0))
		}
		leave(t, m, over, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) })
		m.counted(t, "our own deadline passed (context.DeadlineExceeded), and the client, which is still there, got a 504: that is our error", 1, requests, "method=GET", "route=none", "status=5xx")
	})
}

func TestDuration(t *testing.T) {
	// took is the histogram after a handler that took d, and panicked or not.
	took := func(t *testing.T, d time.Duration, panics bool) *dto.Histogram {
		t.Helper()
		m := newTally(t)
		bubble(t, func(*testing.T) {
			defer func() { _ = recover() }()
			m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if time.Sleep(d); panics {
					panic("burnt")
				}
			})).ServeHTTP(httptest.NewRecorder(), get("/menu"))
		})
		h := m.of(t, fmt.Sprintf("the handler took %v", d), duration, "method=GET", "route=none").GetHistogram()
		require.EqualValues(t, 1, h.GetSampleCount(), "one request is one observation of %s", duration)
		return h
	}
	t.Run("is_in_seconds", func(t *testing.T) {
		h := took(t, 250*time.Millisecond, false)
		require.InDelta(t, 0.25, h.GetSampleSum(), 1e-9, "the handler took 250 ms, and %s was told %v. Its unit is in its name: seconds, of which 250 ms are 0.25 (time.Duration's Seconds)", duration, h.GetSampleSum())
	})
	t.Run("is_not_rounded", func(t *testing.T) {
		h := took(t, 250*time.Millisecond+400*time.Microsecond, false)
		require.InDelta(t, 0.2504, h.GetSampleSum(), 1e-9, "the handler took 250.4 ms, and %s was told %v, where 0.2504 was wanted: seconds with their fractions, as time.Duration's Seconds has them. A cache answers in 40 µs, of which whole milliseconds leave 0", duration, h.GetSampleSum())
	})
	t.Run("falls_into_its_bucket", func(t *testing.T) {
		h := took(t, 300*time.Millisecond, false)
		for _, b := range h.GetBucket() {
			want := uint64(0)
			if b.GetUpperBound() >= 0.3 {
				want = 1
			}
			require.Equal(t, want, b.GetCumulativeCount(), "the handler took 300 ms: observations of up to %v s", b.GetUpperBound())
		}
	})
	t.Run("is_that_of_the_handler_also_if_it_panics", func(t *testing.T) {
		h := took(t, 2*time.Second, true)
		require.InDelta(t, 2, h.GetSampleSum(), 1e-9, "the handler took 2 s, and panicked. That is how long the request took")
	})
	t.Run("is_kept_by_method_and_route", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusOK)
		m.ask(t, "/menu", http.StatusNotFound)
		h := m.of(t, "two requests of one route, answered with 200 and 404", duration, "method=GET", "route=/menu").GetHistogram()
		require.EqualValues(t, 2, h.GetSampleCount(), "two requests of one route, whatever became of them: two observations")
	})
}

// Wrap is called once, when the program starts, and its handler for each request.
func TestOneHandler(t *testing.T) {
	// ask has h answer a GET of path, whatever it panics with.
	ask := func(h http.Handler, path string) {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), get(path))
	}
	// apart has one handler answer GET /menu, within a second, and an hour later GET
	// /orders, on which it panics after a second.
	apart := func(t *testing.T) tally {
		t.Helper()
		m := newTally(t)
		bubble(t, func(*testing.T) {
			h := m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				redmetrics.SetRoute(r.Context(), r.URL.Path)
				if time.Sleep(time.Second); r.URL.Path == "/orders" {
					panic("burnt")
				}
			}))
			ask(h, "/menu")
			time.Sleep(time.Hour)
			ask(h, "/orders")
		})
		return m
	}
	// atOnce has one handler answer GET /orders. After a second it answers GET /menu as
	// well, within a second, and after one more it panics on GET /orders.
	atOnce := func(t *testing.T) tally {
		t.Helper()
		m := newTally(t)
		bubble(t, func(*testing.T) {
			var h http.Handler
			h = m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				redmetrics.SetRoute(r.Context(), r.URL.Path)
				if time.Sleep(time.Second); r.URL.Path == "/orders" {
					ask(h, "/menu")
					time.Sleep(time.Second)
					panic("burnt")
				}
			}))
			ask(h, "/orders")
		})
		return m
	}
	const each = "What belongs to one request is made in the handler, for each: what is made beside it, in Wrap, is made once"
	t.Run("times_each_request_by_itself", func(t *testing.T) {
		h := apart(t).of(t, "GET /orders", duration, "method=GET", "route=/orders").GetHistogram()
		require.InDelta(t, 1, h.GetSampleSum(), 1e-9, "Wrap was called once. Its handler answered GET /menu, and an hour later, within a second, GET /orders: %s of that one was told %v s, where 1 was wanted. %s", duration, h.GetSampleSum(), each)
	})
	t.Run("tells_a_panic_after_a_success", func(t *testing.T) {
		apart(t).counted(t, "Wrap was called once. Its handler answered GET /menu, and an hour later it panicked on GET /orders, which is a 500. "+each, 1, requests, "method=GET", "route=/orders", "status=5xx")
	})
	t.Run("times_those_that_run_at_once", func(t *testing.T) {
		h := atOnce(t).of(t, "GET /orders", duration, "method=GET", "route=/orders").GetHistogram()
		require.InDelta(t, 3, h.GetSampleSum(), 1e-9, "Wrap was called once. Its handler took 3 s for GET /orders, and in the midst of them it answered GET /menu: %s of GET /orders was told %v s, where 3 was wanted. %s", duration, h.GetSampleSum(), each)
	})
	t.Run("tells_a_panic_beside_a_success", func(t *testing.T) {
		atOnce(t).counted(t, "Wrap was called once. Its handler panicked on GET /orders, which is a 500. In the midst of that it had answered GET /menu. "+each, 1, requests, "method=GET", "route=/orders", "status=5xx")
	})
}

func TestExemplar(t *testing.T) {
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	id, err := trace.TraceIDFromHex(traceID)
	require.NoError(t, err)
	// seen is the histogram after a request of 250 ms in a span of these flags, and its
	// exemplars.
	seen := func(t *testing.T, flags trace.TraceFlags) (h *dto.Histogram, all []*dto.Exemplar) {
		t.Helper()
		m := newTally(t)
		r := get("/menu")
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: flags})
		bubble(t, func(*testing.T) {
			defer func() { _ = recover() }()
			m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(250 * time.Millisecond) })).
				ServeHTTP(httptest.NewRecorder(), r.WithContext(trace.ContextWithSpanContext(r.Context(), span)))
		})
		h = m.of(t, "one request, in a span", duration, "method=GET", "route=none").GetHistogram()
		require.EqualValues(t, 1, h.GetSampleCount(), "one request is one observation of %s, with an exemplar or without", duration)
		for _, b := range h.GetBucket() {
			if b.Exemplar != nil {
				all = append(all, b.Exemplar)
			}
		}
		return h, all
	}
	t.Run("names_the_trace", func(t *testing.T) {
		_, all := seen(t, trace.FlagsSampled)
		require.Len(t, all, 1, "a request in a span that is sampled: one bucket of %s has an exemplar, by which one gets from a slow bucket to a slow request (ObserveWithExemplar)", duration)
		require.Len(t, all[0].GetLabel(), 1, "the exemplar's labels")
		label := all[0].GetLabel()[0]
		require.Equal(t, "trace_id="+traceID, label.GetName()+"="+label.GetValue(), "the exemplar's label")
	})
	t.Run("goes_with_the_same_seconds", func(t *testing.T) {
		h, _ := seen(t, trace.FlagsSampled)
		require.InDelta(t, 0.25, h.GetSampleSum(), 1e-9, "a request of 250 ms in a span that is sampled: %s was told %v, where 0.25 was wanted. With an exemplar or without, it is the same time in the same unit", duration, h.GetSampleSum())
	})
	t.Run("names_no_trace_that_was_not_recorded", func(t *testing.T) {
		_, all := seen(t, 0)
		require.Empty(t, all, "a request in a span that is not sampled (IsSampled): its trace is recorded nowhere, and an exemplar would lead there")
	})
}

func TestInFlight(t *testing.T) {
	t.Run("is_what_runs", func(t *testing.T) {
		m := newTally(t)
		var one, two float64
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) {
			one = m.flying(t)
			m.serve(t, get("/orders"), func(http.ResponseWriter, *http.Request) { two = m.flying(t) })
		})
		require.Equal(t, []float64{1, 2}, []float64{one, two}, "%s as seen by a handler, and then by one that runs at the same time", inFlight)
	})
	t.Run("is_one_less_when_one_is_over", func(t *testing.T) {
		m := newTally(t)
		var after float64
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) {
			m.serve(t, get("/orders"), func(http.ResponseWriter, *http.Request) {})
			after = m.flying(t)
		})
		require.EqualValues(t, 1, after, "%s as seen by a handler, when another one that ran at the same time is over: this one still runs, so it is counted down by one, and not set to 0", inFlight)
	})
	t.Run("is_nothing_when_they_are_over", func(t *testing.T) {
		m := newTally(t)
		var during float64
		for range 3 {
			m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) { during = m.flying(t) })
		}
		require.EqualValues(t, 1, during, "%s as seen by the third of three handlers that run one after the other", inFlight)
		require.Zero(t, m.flying(t), "%s when three requests are over", inFlight)
	})
	t.Run("is_nothing_after_a_panic", func(t *testing.T) {
		m := newTally(t)
		var during float64
		m.serve(t, get("/menu"), func(http.ResponseWriter, *http.Request) { during = m.flying(t); panic("burnt") })
		require.EqualValues(t, 1, during, "%s as seen by the handler", inFlight)
		require.Zero(t, m.flying(t), "%s when the only handler has panicked: what stands behind next.ServeHTTP does not run then. It would be in flight for ever, and the gauge climbs for as long as the process lives", inFlight)
	})
}

func TestSeries(t *testing.T) {
	t.Run("are_no_more_after_ten_thousand_made_up_requests", func(t *testing.T) {
		m := newTally(t)
		made := rand.New(rand.NewPCG(17, 4))
		h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
		send := func() {
			r := get(fmt.Sprintf("/%x", made.Uint64()))
			r.Method = fmt.Sprintf("M%X", made.Uint32())
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		all := func(n int) {
			for range n / 100 { // a hundred at a time: a busy machine takes long for all
				soon(t, "the wrapped handler", func() {
					for range 100 {
						send()
					}
				})
			}
		}
		all(100)
		count := func() (n int) {
			for _, name := range []string{requests, failed, duration, inFlight} {
				found, _ := m.series(t, name)
				n += len(found)
			}
			return n
		}
		first := count()
		all(10_000)
		require.Equal(t, first, count(), "the number of series after 10,000 more requests with paths and methods that a stranger made up. Each series takes memory, here and in Prometheus, for as long as both live")
		m.counted(t, "10,100 requests without a route", 10_100, requests, "method=other", "route=none", "status=4xx")
	})
	t.Run("please_the_linter", func(t *testing.T) {
		m := newTally(t)
		m.ask(t, "/menu", http.StatusOK)
		m.of(t, "a request was made", duration, "method=GET", "route=/menu")
		problems, err := testutil.GatherAndLint(m.reg)
		require.NoError(t, err)
		require.Empty(t, problems, "what Prometheus' own linter (promtool check metrics) says")
	})
}

// What the handler gets is still what net/http gave, and it is counted.
func TestWriter(t *testing.T) {
	t.Run("streams", func(t *testing.T) {
		m := newTally(t)
		more := make(chan struct{})
		server := httptest.NewServer(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "soup\n")
			_ = http.NewResponseController(w).Flush()
			<-more
			_, _ = io.WriteString(w, "fish\n")
		})))
		defer shut(server)
		defer func() { // also when something fails
			select {
			case <-more:
			default:
				close(more)
			}
		}()
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		answer, err := server.Client().Do(r)
		require.NoError(t, err, "the handler wrote a line, and flushed")
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		require.True(t, lines.Scan(), "the handler wrote a line, flushed, and waits: the line arrives at once. %v", lines.Err())
		require.Equal(t, "soup", lines.Text())
		close(more)
		require.True(t, lines.Scan(), "%v", lines.Err())
		require.Equal(t, "fish", lines.Text())
		shut(server) // waits for the handler
		m.counted(t, "an answer that streams", 1, requests, "method=GET", "route=none", "status=2xx")
	})
	t.Run("can_be_taken_over", func(t *testing.T) {
		m := newTally(t)
		h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				_ = conn.Close()
			}
		}))
		over := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(over)
			h.ServeHTTP(w, r)
		}))
		defer shut(server)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Second)))
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		require.NoError(t, err)
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(text), "204", "the handler took the connection over (Hijack), as for a WebSocket")
		select {
		case <-over:
		case <-time.After(2 * time.Second):
			require.Fail(t, "stuck", "the handler took the connection over (Hijack), answered on it, closed it, and returned: what Wrap returned has not, after two seconds")
		}
		m.counted(t, "the handler took the connection over (Hijack), answered on it, and returned: that is a request, too", 1, requests, "method=GET", "route=none", "status=2xx")
	})
}

func TestRouters(t *testing.T) {
	t.Run("gin_brings_its_route", func(t *testing.T) {
		gin.SetMode(gin.ReleaseMode)
		engine := gin.New()
		engine.Use(func(c *gin.Context) { redmetrics.SetRoute(c.Request.Context(), c.FullPath()) })
		engine.GET("/orders/:id", func(c *gin.Context) { c.Status(http.StatusAccepted) })
		m := newTally(t)
		m.serve(t, get("/orders/17"), engine.ServeHTTP)
		m.counted(t, "gin answered GET /orders/17", 1, requests, "method=GET", "route=/orders/:id", "status=2xx")
		m.serve(t, get("/wp-admin"), engine.ServeHTTP)
		m.counted(t, "gin has no route for GET /wp-admin", 1, requests, "method=GET", "route=none", "status=4xx")
	})
	t.Run("an_edge_brings_its_prefix", func(t *testing.T) {
		m := newTally(t)
		h := redmetrics.Prefixes(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "/", "/orders", "/orders/past")
		for path, route := range map[string]string{"/orders": "/orders", "/orders/past/7": "/orders/past", "/ordersheet": "/"} {
			m.serve(t, get(path), h.ServeHTTP)
			m.counted(t, "the edge's routes are /, /orders and /orders/past, and the request was GET "+path, 1, requests, "method=GET", "route="+route, "status=2xx")
		}
	})
	t.Run("who_stands_in_front_learns_the_route", func(t *testing.T) {
		m := newTally(t)
		ctx := redmetrics.WithRoute(t.Context())
		m.serve(t, get("/orders/17").WithContext(ctx), func(_ http.ResponseWriter, r *http.Request) { redmetrics.SetRoute(r.Context(), "/orders/:id") })
		m.counted(t, "a handler in front has called WithRoute", 1, requests, "method=GET", "route=/orders/:id", "status=2xx")
		var route string
		soon(t, "Route", func() { route = redmetrics.Route(ctx) })
		require.Equal(t, "/orders/:id", route, "Route of the context that has come from WithRoute")
	})
}

// A route is noted where there is a place for it.
//
//workshop:guard TestSetRoute/...
func TestSetRoute(t *testing.T) {
	t.Run("does_nothing_without_a_place", func(t *testing.T) {
		soon(t, "SetRoute or Route", func() {
			redmetrics.SetRoute(t.Context(), "/menu")
			assert.Equal(t, redmetrics.NoRoute, redmetrics.Route(t.Context()))
		})
	})
	t.Run("takes_the_last_and_empty_for_none", func(t *testing.T) {
		ctx := redmetrics.WithRoute(t.Context())
		soon(t, "SetRoute or Route", func() {
			redmetrics.SetRoute(ctx, "/menu")
			assert.Equal(t, "/menu", redmetrics.Route(ctx))
			redmetrics.SetRoute(ctx, "")
			assert.Equal(t, redmetrics.NoRoute, redmetrics.Route(ctx))
		})
	})
}

// The constructor is given.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	t.Run("names_all_faults", func(t *testing.T) {
		_, err := redmetrics.New(redmetrics.Config{Buckets: []float64{1, 1, math.NaN()}})
		require.Error(t, err)
		for _, want := range []string{"Registerer is required", "bucket 1 ends at 1 s", "bucket 2 ends at NaN s"} {
			assert.ErrorContains(t, err, want)
		}
	})
	t.Run("makes_them_once", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		_, err := redmetrics.New(redmetrics.Config{Registerer: reg})
		require.NoError(t, err)
		_, err = redmetrics.New(redmetrics.Config{Registerer: reg})
		assert.ErrorContains(t, err, "redmetrics: duplicate")
	})
}

func BenchmarkWrap(b *testing.B) {
	for _, mode := range []string{"bare", "counted", "sampled"} {
		b.Run(mode, func(b *testing.B) {
			var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				redmetrics.SetRoute(r.Context(), "/menu")
				w.WriteHeader(http.StatusOK)
			})
			r := get("/menu")
			if mode != "bare" {
				h = newTally(b).Wrap(h)
			}
			if mode == "sampled" {
				span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
				r = r.WithContext(trace.ContextWithSpanContext(r.Context(), span))
			}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(discard{}, r)
			}
		})
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{}

func (discard) Header() http.Header         { return nil }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
