//go:build ignore

// It asks for the status before the handler has run: the arguments of a deferred call are
// worked out at the defer, and only the call comes later. Until the handler has said
// otherwise the status is 200, so all goes well, for ever.
//
//workshop:caught-by TestRequests/says_3xx_of_304
//workshop:says the arguments of a deferred call
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
		status, _ := answer.status()
		defer func(status int) {
			m.inFlight.Dec()
			if !returned {
				status = http.StatusInternalServerError
			}
			if _, begun := answer.status(); (status >= 500 || !begun) && errors.Is(r.Context().Err(), context.Canceled) {
				status = StatusClientLeft
			}
			m.count(r, status, time.Since(start))
		}(status)
		next.ServeHTTP(answer, r)
		returned = true
	})
}
