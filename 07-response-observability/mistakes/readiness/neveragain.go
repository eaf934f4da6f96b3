//go:build ignore

// It is about to end once a check of its own has failed, and stays so. But a fault passes:
// the disk has room again, and the replica is not asked to serve any more.
//
//workshop:caught-by TestReady/is_ready_again_when_the_fault_has_passed
//workshop:says each answer is by checks of its own
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
	ctx, stop := context.WithTimeout(r.Context(), h.c.Timeout)
	defer stop()
	own, shared := h.look(ctx)
	switch {
	case len(own) > 0:
		h.Drain()
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0:
		answer(w, http.StatusOK, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
}
