//go:build ignore

// It counts what comes in while the backend is ejected: requests that were sent
// before. Once it is back, they have used up its chances already.
//
//workshop:caught-by TestReport/ignores_what_was_sent_before_the_ejection
//workshop:says while it was ejected does not count
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
