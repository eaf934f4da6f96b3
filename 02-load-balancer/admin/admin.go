// Package admin lets an operator look at a pool, and take a backend out of it
// for a while:
//
//	GET  /backends                 a line a backend: name, address, state, active requests
//	POST /backends/NAME/drain      no new requests; answers when the running ones are over
//	POST /backends/NAME/undrain    new requests again
//
// It belongs on a listener of its own, on loopback: whoever reaches it can turn
// the service off. HAProxy's counterpart is its "stats socket".
package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/drain"
)

// drainWithin is how long a drain waits for running requests. They are not cut
// then; the operator is told.
const drainWithin = 30 * time.Second

// New returns the handler for pool.
func New(pool *balancer.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /backends", func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range pool.Backends() {
			fmt.Fprintf(w, "%-8s %-22s %-9s %d active\n", b.Name(), b.Addr(), b.State(), b.Active())
		}
	})
	on := func(pattern string, do func(http.ResponseWriter, *http.Request, *balancer.Backend)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			b := pool.Get(r.PathValue("name"))
			if b == nil {
				http.Error(w, fmt.Sprintf("there is no backend %q; GET /backends lists them", r.PathValue("name")), http.StatusNotFound)
				return
			}
			do(w, r, b)
		})
	}
	on("POST /backends/{name}/drain", func(w http.ResponseWriter, r *http.Request, b *balancer.Backend) {
		ctx, cancel := context.WithTimeout(r.Context(), drainWithin)
		defer cancel()
		if err := drain.Drain(ctx, b); err != nil {
			http.Error(w, err.Error(), http.StatusGatewayTimeout)
			return
		}
		fmt.Fprintf(w, "%s is drained: it has nothing left to do\n", b.Name())
	})
	on("POST /backends/{name}/undrain", func(w http.ResponseWriter, _ *http.Request, b *balancer.Backend) {
		b.SetDraining(false)
		fmt.Fprintf(w, "%s is %s\n", b.Name(), b.State())
	})
	return mux
}
