// Package redmetrics counts what a server does, in the three numbers by which its
// operator knows how it fares: the rate of its requests, their errors, and their
// duration. Beside them stands how many are in flight.
//
//	http_requests_total{method, route, status}        status: 2xx, 3xx, 4xx …
//	http_request_errors_total{method, route}          what was our fault: 5xx
//	http_request_duration_seconds{method, route}      a histogram, with exemplars
//	http_requests_in_flight
//
// A counter in memory is read by Prometheus every few seconds, and kept by it. Each
// combination of labels is a series of its own, in each process, for weeks. So labels
// take few values, and none that a client can make up: there is one route for
// /orders/:id, and no series for each order.
//
// In the story, the tally by the door: how many came, how many left angry, how long
// they sat. Strokes, and no names.
//
// When not to use it: to find out about one request. Logs and traces tell that; an
// exemplar, a trace ID beside a number, leads from here to there.
//
// Left out: connections that were taken over (101), which last for hours and are timed
// like any other request.
//
// Source: T. Wilkie, "The RED Method" (2015); "Monitoring Distributed Systems" in Site
// Reliability Engineering (Beyer et al., 2016), chapter 6; Prometheus, "Metric and
// label naming"; OpenMetrics 1.0 for exemplars.
package redmetrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StatusClientLeft is the status of a request whose client left before it had an
// answer. It is sent to nobody: the number is nginx's.
const StatusClientLeft = 499

// Labels that stand in for what is not counted by name.
const (
	NoRoute     = "none"  // the route of a request that no route was made for
	OtherMethod = "other" // the method of a request with one that HTTP does not define
)

// Config says where the numbers go. Registerer is required.
type Config struct {
	// Registerer gets the metrics. They are made once for each Registerer.
	Registerer prometheus.Registerer
	// Buckets are the upper bounds of the histogram's buckets, in seconds, each above
	// the one before. There should be one at what was promised ("half a second"): how
	// many were quicker is known at the bounds only. nil means 1 ms to 10 s, in 13.
	Buckets []float64
}

// Metrics are the numbers of one server. They may be used by many goroutines at once.
// Make them with New.
type Metrics struct {
	requests *prometheus.CounterVec   // by method, route and status
	errors   *prometheus.CounterVec   // by method and route
	duration *prometheus.HistogramVec // by method and route; in seconds
	inFlight prometheus.Gauge
}

// New returns Metrics that c.Registerer knows. err names all faults of c, or says
// what was registered already.
func New(c Config) (*Metrics, error) {
	var faults []error
	if c.Registerer == nil {
		faults = append(faults, errors.New("redmetrics: Registerer is required"))
	}
	if c.Buckets == nil {
		c.Buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	}
	for i, bound := range c.Buckets {
		if !(bound > 0) || i > 0 && bound <= c.Buckets[i-1] { // NaN is not above 0
			faults = append(faults, fmt.Errorf("redmetrics: bucket %d ends at %v s: want more than 0, and than the one before", i, bound))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests that are over, by the class of their answer's status."}, []string{"method", "route", "status"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_request_errors_total", Help: "Requests that were answered with 500 or above, or broken off by us."}, []string{"method", "route"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "How long requests took, to the last octet of the answer.", Buckets: c.Buckets}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests that are being answered."}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.errors, m.duration, m.inFlight} {
		if err := c.Registerer.Register(collector); err != nil {
			faults = append(faults, fmt.Errorf("redmetrics: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return m, nil
}

// Wrap returns a handler that calls next, and has count note what came of it, once
// for each request, when it is over. While it runs, it is in flight.
//
// The status is the one that next has answered with (answer.status). Beyond that:
//
//   - A panic is a 500, and goes on as it came, http.ErrAbortHandler as well: whoever
//     stands in front is to cut the connection.
//   - If the client has left, which is to say that r.Context().Err() is
//     context.Canceled, then what would be a 500 or above is StatusClientLeft, and so
//     is an answer that was never begun: nobody was there to be failed. That goes for a
//     panic's 500, whatever it panicked with. It goes on all the same, to whoever
//     writes it to the log, where a bug is found. An answer that was begun below 500
//     keeps its status.
//
// The handler serves many requests, also at once: what belongs to one is made for each.
//
// next gets a request whose context has a place for the route (SetRoute), and a
// ResponseWriter through which streams, Flush and Hijack pass.
func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, r := watch(w, r)
		// TODO(redmetrics): Note the time, and count up m.inFlight. What is to be done in the end goes into a
		// deferred function, so that it is done in a panic, too: count m.inFlight down, find
		// the status, m.count. Then next.ServeHTTP(answer, r), and note that it returned.
		// The reference imports, besides what stands above: "go.opentelemetry.io/otel/trace".
		next.ServeHTTP(answer, r)
	})
}

// count notes that r is over, with that status, after that time:
//
//   - m.requests has one more, with the labels methodLabel(r.Method), the route
//     (Route(r.Context())) and class(status), in this order
//   - m.errors, with the first two of them, has one more if status is 500 or above. A
//     client's mistake, 4xx, is no error. If it is none, the counter is there as well,
//     and stays as it is: a counter that comes into the world with 1 shows no step from
//     0 to 1, and the first error would be seen by nobody
//   - m.duration, with the same two, has observed the time, whatever the status, in
//     seconds, with their fractions, and not rounded. If there is a span in r's
//     context (trace.SpanContextFromContext), and it is sampled (IsSampled), then with
//     an exemplar {trace_id: …} (prometheus.ExemplarObserver), in hexadecimal digits.
//     The trace of one that is not sampled is nowhere to be found
func (m *Metrics) count(r *http.Request, status int, took time.Duration) {
	// TODO(redmetrics): m.requests.WithLabelValues(…) is the counter of these labels. In a histogram, the
	// same returns an Observer, which is a prometheus.ExemplarObserver as well.
}

// methodLabel is method, if it is one of GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT,
// OPTIONS and TRACE (RFC 9110 §9.3, RFC 5789), and OtherMethod otherwise. Capitals
// count: "get" is another method, which a client has made up.
func methodLabel(method string) string {
	// TODO(redmetrics): A switch.
	return method
}

// class is the class of a status: "2xx" of 200 to 299, and so on. From 600 on, where
// there is none, it is "5xx" (RFC 9110 §15).
func class(status int) string {
	return classes[min(max(status/100, 1), 5)]
}

var classes = [...]string{1: "1xx", "2xx", "3xx", "4xx", "5xx"} // made once, and not for each request

// routeKey finds a *route in a context.
type routeKey struct{}

// route is a place for a request's route. A handler that is given up (TimeoutHandler)
// may still write it when it is read.
type route struct {
	mu      sync.Mutex
	pattern string
}

// routeContext is a context with a place for the route: one allocation for both.
type routeContext struct {
	context.Context
	route route
}

func (c *routeContext) Value(key any) any {
	if key == (routeKey{}) {
		return &c.route
	}
	return c.Context.Value(key)
}

// WithRoute returns a context that has a place for the route: ctx itself, if it has
// one. Wrap calls it. Who stands in front of Wrap and wants to know the route when the
// request is over calls it first, with the request's context, and then Route.
func WithRoute(ctx context.Context) context.Context {
	if ctx.Value(routeKey{}) != nil {
		return ctx
	}
	return &routeContext{Context: ctx}
}

// SetRoute notes that the request of ctx is for the route of this pattern, as
// "/orders/:id". The last call counts; empty is none. Routers call it, or who knows
// them: with gin, a handler that calls
//
//	redmetrics.SetRoute(c.Request.Context(), c.FullPath())
//
// pattern must be the router's and never the request's own path. Without a place for
// it in ctx, SetRoute does nothing.
func SetRoute(ctx context.Context, pattern string) {
	if at, ok := ctx.Value(routeKey{}).(*route); ok {
		at.mu.Lock()
		defer at.mu.Unlock()
		at.pattern = pattern
	}
}

// Route is what SetRoute has noted, or NoRoute.
func Route(ctx context.Context) string {
	if at, ok := ctx.Value(routeKey{}).(*route); ok {
		at.mu.Lock()
		defer at.mu.Unlock()
		if at.pattern != "" {
			return at.pattern
		}
	}
	return NoRoute
}

// Prefixes returns a handler that notes the longest of prefixes that the request's
// path begins with as its route, and calls next: for an edge, whose routes are these.
// "/orders" is for /orders and /orders/17, and not for /ordersheet; "/" is for all.
func Prefixes(next http.Handler, prefixes ...string) http.Handler {
	longest := slices.SortedFunc(slices.Values(prefixes), func(a, b string) int { return len(b) - len(a) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, prefix := range longest {
			rest, ok := strings.CutPrefix(r.URL.Path, prefix)
			if ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/")) {
				SetRoute(r.Context(), prefix)
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}
