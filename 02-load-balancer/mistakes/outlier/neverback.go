//go:build ignore

// It ejects with SetEjected, and nobody ever takes that back: no request is
// sent there any more that could show that the backend is well again.
//
//workshop:caught-by TestReport/brings_back_when_its_time_is_over
//workshop:says it must come back after
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
	h.failures = 0
	b.SetEjected(true)
}
