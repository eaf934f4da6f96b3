//go:build ignore

// It makes its checks before it looks whether it has started. They look at what is not
// there yet, and whoever asks waits for an answer that was clear from the beginning.
//
//workshop:caught-by TestReady/makes_no_check_while_it_starts
//workshop:says the answer is clear
package readiness

import (
	"context"
	"net/http"
)

func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithTimeout(r.Context(), h.c.Timeout)
	defer stop()
	if h.drained.Load() {
		answer(w, http.StatusServiceUnavailable, Draining)
		return
	}
	own, shared := h.look(ctx)
	switch {
	case !h.started.Load():
		answer(w, http.StatusServiceUnavailable, Starting)
	case len(own) > 0:
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0:
		answer(w, http.StatusOK, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
}
