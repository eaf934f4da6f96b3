//go:build ignore

// It takes no notice of checks that timed out, since they found out nothing. But
// they did: a backend that does not answer a check does not answer a customer
// either. One that hangs would stay up for ever.
//
//workshop:caught-by TestObserve/takes_a_timeout_for_a_failure
//workshop:says A timeout is a failure
package healthcheck

import (
	"context"
	"errors"
	"os"
)

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return t.up, false
	}
	if (err == nil) == t.up {
		t.against = 0
		return t.up, false
	}
	needed := t.rise
	if t.up {
		needed = t.fall
	}
	if t.against++; t.against < needed {
		return t.up, false
	}
	t.up, t.against = !t.up, 0
	return t.up, true
}
