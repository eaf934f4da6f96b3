//go:build ignore

// It takes a client that left for a success, and clears the count. A backend
// that hangs, and that clients leave because of it, is then never ejected.
//
//workshop:caught-by TestReport/takes_no_client_that_left_for_a_failure
//workshop:says so it is no success either
package outlier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
)

func (d *Detector) Report(b *balancer.Backend, status int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !b.Available() {
		return
	}
	h := d.hostLocked(b)
	if errors.Is(err, context.Canceled) || err == nil && status < http.StatusInternalServerError {
		h.failures = 0
		return
	}
	h.failures++
	if h.failures < d.config.Failures {
		return
	}
	pool, left := d.pool.Backends(), 0
	for _, other := range pool {
		if other != b && other.Available() {
			left++
		}
	}
	if float64(left) < d.config.MinAvailable*float64(len(pool)) {
		return
	}
	calm := time.Since(h.returned)
	d.ejectLocked(b, h, min(max(0, h.lasted-calm)+d.config.BaseTime, d.config.MaxTime))
}
