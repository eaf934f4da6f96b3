//go:build ignore

// Its checks' context is a new one, and not the request's. Whoever asks and leaves,
// several times a second, leaves checks behind that nobody waits for.
//
//workshop:caught-by TestReady/ends_its_checks_when_whoever_asked_has_left
//workshop:says is made of the request's
package readiness

import (
	"context"
	"net/http"
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
	ctx, stop := context.WithTimeout(context.Background(), h.c.Timeout)
	defer stop()
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
