//go:build ignore

// It takes the lock to count, and gives it back before it looks how many others
// are left. Two backends that fail at once both find enough others, and both go;
// on a bad day, all of them.
//
//workshop:caught-by TestReport/ejects_one_at_a_time
//workshop:says from the look to the ejection
package outlier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
)

func (d *Detector) Report(b *balancer.Backend, status int, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if !b.Available() {
		return
	}
	d.mu.Lock()
	h := d.hostLocked(b)
	if err == nil && status < http.StatusInternalServerError {
		h.failures = 0
	} else {
		h.failures++
	}
	enough := h.failures >= d.config.Failures
	d.mu.Unlock()
	if !enough {
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
