//go:build ignore

// It counts 4xx as an error. Each scanner that looks for /wp-admin, and each guest who
// mistypes, sets off the alarm, until nobody listens to it any more.
//
//workshop:caught-by TestErrors/are_not_a_clients_mistakes
//workshop:says is soon ignored
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
	if failed := m.errors.WithLabelValues(method, route); status >= http.StatusBadRequest {
		failed.Inc()
	}
	duration := m.duration.WithLabelValues(method, route)
	if s := trace.SpanContextFromContext(r.Context()); s.IsSampled() {
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": s.TraceID().String()})
	} else {
		duration.Observe(took.Seconds())
	}
}
