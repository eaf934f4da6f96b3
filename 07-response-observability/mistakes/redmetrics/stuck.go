//go:build ignore

// It counts down behind the handler, where a panic does not come by. Each panic leaves one
// more that is in flight for ever, and an alarm for a full house goes off, on some evening,
// when the house is empty.
//
//workshop:caught-by TestInFlight/is_nothing_after_a_panic
//workshop:says It would be in flight for ever
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
		start, returned := time.Now(), false
		m.inFlight.Inc()
		defer func() {
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
		m.inFlight.Dec()
		returned = true
	})
}
