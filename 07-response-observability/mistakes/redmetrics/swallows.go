//go:build ignore

// It recovers, to learn of the panic, and stops it by that. net/http takes the answer for
// finished then, and half a page arrives as a whole one.
//
//workshop:caught-by TestPanics/go_on_with_string
//workshop:says half an answer looks like a whole one
package redmetrics

import (
	"context"
	"errors"
	"net/http"
	"time"
)

func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, r := watch(w, r)
		start := time.Now()
		m.inFlight.Inc()
		defer func() {
			m.inFlight.Dec()
			status, begun := answer.status()
			if recover() != nil {
				status = http.StatusInternalServerError
			}
			if (status >= 500 || !begun) && errors.Is(r.Context().Err(), context.Canceled) {
				status = StatusClientLeft
			}
			m.count(r, status, time.Since(start))
		}()
		next.ServeHTTP(answer, r)
	})
}
