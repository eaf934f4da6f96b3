//go:build ignore

// It ejects whoever fails, and looks at nobody else. When the database behind
// all backends is gone, all of them answer 500, and the balancer takes them all
// out: now even what would still work fails.
//
//workshop:caught-by TestReport/keeps_serving_in_an_outage_of_all
//workshop:says so many must stay available
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
	if err == nil && status < http.StatusInternalServerError {
		h.failures = 0
		return
	}
	h.failures++
	if h.failures < d.config.Failures {
		return
	}
	calm := time.Since(h.returned)
	d.ejectLocked(b, h, min(max(0, h.lasted-calm)+d.config.BaseTime, d.config.MaxTime))
}
