//go:build ignore

// Each ejection lasts as long as the first. A backend that is dead for a night
// is tried again every BaseTime, and each time that costs some customers their
// order.
//
//workshop:caught-by TestReport/ejects_for_longer_each_time
//workshop:says a BaseTime longer than the last
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
	d.ejectLocked(b, h, d.config.BaseTime)
}
