//go:build ignore

// It waits for its checks as long as whoever asked does. A database that does not
// answer makes each replica slow to answer then, and the balancer takes who is slow
// for dead.
//
//workshop:caught-by TestReady/does_not_wait_for_a_check_that_hangs
//workshop:says takes who is slow to answer for dead
package readiness

import "net/http"

func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case h.drained.Load():
		answer(w, http.StatusServiceUnavailable, Draining)
		return
	case !h.started.Load():
		answer(w, http.StatusServiceUnavailable, Starting)
		return
	}
	own, shared := h.look(r.Context())
	switch {
	case len(own) > 0:
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0:
		answer(w, http.StatusOK, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
}
