//go:build ignore

// It makes a context that ends after Timeout, and does not end it when it has answered.
// Its timer, and whatever a check has left running, stay until then, and several times a
// second there is one more.
//
//workshop:caught-by TestReady/ends_its_context_with_the_answer
//workshop:says context.WithTimeout returns the function that ends it
package readiness

import (
	"context"
	"net/http"
	"time"
)

func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case h.drained.Load():
		answer(w, http.StatusServiceUnavailable, Draining)
		return
	case !h.started.Load():
		answer(w, http.StatusServiceUnavailable, Starting)
		return
	}
	ctx, stop := context.WithCancel(r.Context())
	time.AfterFunc(h.c.Timeout, stop)
	own, shared := h.look(ctx)
	switch {
	case len(own) > 0:
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0:
		answer(w, http.StatusOK, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
}
