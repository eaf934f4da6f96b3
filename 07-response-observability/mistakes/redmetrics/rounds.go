//go:build ignore

// It takes whole milliseconds, and divides them by 1000. The unit is right, and the
// fractions are gone: what a cache answers in 40 µs took no time at all.
//
//workshop:caught-by TestDuration/is_not_rounded
//workshop:says seconds with their fractions
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
	duration, seconds := m.duration.WithLabelValues(method, route), float64(took.Milliseconds())/1000
	if s := trace.SpanContextFromContext(r.Context()); s.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": s.TraceID().String()})
	} else {
		duration.Observe(seconds)
	}
}
