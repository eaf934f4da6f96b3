//go:build ignore

// The time out grows with each ejection, and never shrinks. A backend that had a
// bad hour months ago is then taken out for the longest time at once.
//
//workshop:caught-by TestReport/forgives_with_time
//workshop:says does not pay for what is long over
package outlier

import (
	"context"
	"errors"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

func (d *Detector) Report(b *balancer.Backend, status int, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
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
	d.ejectLocked(b, h, min(h.lasted+d.config.BaseTime, d.config.MaxTime))
}
