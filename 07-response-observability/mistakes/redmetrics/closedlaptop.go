//go:build ignore

// It knows nothing of clients that leave. What the handler makes of a query that was
// cancelled then, a 503, counts as an error of ours: a train that goes into a tunnel sets
// off the alarm.
//
//workshop:caught-by TestClientThatLeft/is_a_499_if_there_was_no_answer
//workshop:says the client left, and the handler noticed
package redmetrics

import (
	"net/http"
	"time"
)

func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, r := watch(w, r)
		start, returned := time.Now(), false
		m.inFlight.Inc()
		defer func() {
			m.inFlight.Dec()
			status, _ := answer.status()
			if !returned {
				status = http.StatusInternalServerError
			}
			m.count(r, status, time.Since(start))
		}()
		next.ServeHTTP(answer, r)
		returned = true
	})
}
