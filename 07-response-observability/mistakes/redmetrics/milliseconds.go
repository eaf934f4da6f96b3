//go:build ignore

// It observes milliseconds, under a name that says seconds. 250 ms are more than four
// minutes then: all requests fall into the last bucket, and the alarm for slow ones never
// stops.
//
//workshop:caught-by TestDuration/is_in_seconds
//workshop:says 250 ms are 0.25
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
	if failed := m.errors.WithLabelValues(method, route); status >= http.StatusInternalServerError {
		failed.Inc()
	}
	duration := m.duration.WithLabelValues(method, route)
	if s := trace.SpanContextFromContext(r.Context()); s.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(took.Milliseconds()), prometheus.Labels{"trace_id": s.TraceID().String()})
	} else {
		duration.Observe(float64(took.Milliseconds()))
	}
}
