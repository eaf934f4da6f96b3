//go:build ignore

// It counts by the request's path. Each order is a route of its own then, and a stranger
// who asks for made-up paths can make as many series as he likes, until this process, or
// Prometheus, is out of memory.
//
//workshop:caught-by TestRequests/names_the_route_and_not_the_path
//workshop:says There are as many paths as orders
package redmetrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

func (m *Metrics) count(r *http.Request, status int, took time.Duration) {
	method, route := methodLabel(r.Method), r.URL.Path
	m.requests.WithLabelValues(method, route, class(status)).Inc()
	if failed := m.errors.WithLabelValues(method, route); status >= http.StatusInternalServerError {
		failed.Inc()
	}
	duration := m.duration.WithLabelValues(method, route)
	if s := trace.SpanContextFromContext(r.Context()); s.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": s.TraceID().String()})
	} else {
		duration.Observe(took.Seconds())
	}
}
