//go:build ignore

// It takes 4xx for failures. Whoever asks for pages that do not exist, or sends
// a wrong password again and again, can then take out one backend after the
// other, though they all do what they should.
//
//workshop:caught-by TestReport/takes_no_4xx_for_a_failure
//workshop:says could take out the whole pool
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
	d.mu.Lock()
	defer d.mu.Unlock()
	if !b.Available() {
		return
	}
	h := d.hostLocked(b)
	if err == nil && status < http.StatusBadRequest {
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
