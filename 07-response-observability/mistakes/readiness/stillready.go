//go:build ignore

// It says how its checks went, also when it is about to end. The balancer believes
// it, and sends requests that meet a closed door.
//
//workshop:caught-by TestReady/is_not_ready_once_it_drains
//workshop:says it is about to end
package readiness

import (
	"context"
	"net/http"
)

func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if !h.started.Load() {
		answer(w, http.StatusServiceUnavailable, Starting)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), h.c.Timeout)
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
