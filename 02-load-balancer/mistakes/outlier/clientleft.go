//go:build ignore

// It takes every error for a failure, also that of a client that left. A
// backend whose clients are impatient is taken out, though it failed nobody.
//
//workshop:caught-by TestReport/takes_no_client_that_left_for_a_failure
//workshop:says before it had answered
package outlier

import (
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
	if err == nil && status < http.StatusInternalServerError {
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
