//go:build ignore

// It notes the time in Wrap, which is called once, when the program starts, and not in the
// handler, which is called for each request. What it observes is the age of the process.
//
//workshop:caught-by TestOneHandler/times_each_request_by_itself
//workshop:says What belongs to one request is made in the handler
package redmetrics

import (
	"context"
	"errors"
	"net/http"
	"time"
)

func (m *Metrics) Wrap(next http.Handler) http.Handler {
	start := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, r := watch(w, r)
		returned := false
		m.inFlight.Inc()
		defer func() {
			m.inFlight.Dec()
			status, begun := answer.status()
			if !returned {
				status = http.StatusInternalServerError
			}
			if (status >= 500 || !begun) && errors.Is(r.Context().Err(), context.Canceled) {
				status = StatusClientLeft
			}
			m.count(r, status, time.Since(start))
		}()
		next.ServeHTTP(answer, r)
		returned = true
	})
}
