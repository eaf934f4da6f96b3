//go:build ignore

// It is not ready when any check fails, the database's too. But all replicas share
// the database: when it is lost they all leave at the same moment, and what they
// could still do is lost with it.
//
//workshop:caught-by TestReady/stays_when_what_all_share_is_lost
//workshop:says all of them would leave at the same moment
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
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0:
		answer(w, http.StatusServiceUnavailable, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
}
