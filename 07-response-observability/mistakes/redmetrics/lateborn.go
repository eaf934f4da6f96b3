//go:build ignore

// It makes the counter of errors with the first error. It comes into the world with 1 then,
// and a rate, which is made of differences, shows nothing: the first error, and after each
// restart another one, goes unseen.
//
//workshop:caught-by TestErrors/are_counted_from_zero
//workshop:says nobody would see the first error
package redmetrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

func (m *Metrics) count(r *http.Request, status int, took time.Duration) {
	method, route := methodLabel(r.Method), Route(r.Context())
	m.requests.WithLabelValues(method, route, class(status)).Inc()
	if status >= http.StatusInternalServerError {
		m.errors.WithLabelValues(method, route).Inc()
	}
	duration := m.duration.WithLabelValues(method, route)
	if s := trace.SpanContextFromContext(r.Context()); s.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": s.TraceID().String()})
	} else {
		duration.Observe(took.Seconds())
	}
}
