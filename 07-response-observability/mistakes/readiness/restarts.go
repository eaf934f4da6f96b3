//go:build ignore

// It asks the database whether the process is live. When the database is away, each
// replica is killed for it, and again when it has started anew: a fault that would
// have passed becomes one that does not.
//
//workshop:caught-by TestLive/asks_no_database
//workshop:says the database would not be healed by that
package readiness

import (
	"context"
	"net/http"
)

func (h *Health) Live(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithTimeout(r.Context(), h.c.Timeout)
	defer stop()
	if own, shared := h.look(ctx); len(own)+len(shared) > 0 {
		http.Error(w, "dead", http.StatusServiceUnavailable)
		return
	}
	plainText(w, "live")
}
