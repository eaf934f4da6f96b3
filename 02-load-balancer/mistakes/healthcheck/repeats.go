//go:build ignore

// It reports a change with every result once the threshold is reached, not only
// with the one that reached it. Each check of a backend that stays as it is
// writes a line to the log, and the one line that matters drowns.
//
//workshop:caught-by TestObserve/stays_up_while_checks_succeed
//workshop:says not with every check that confirms it
package healthcheck

import "sync"

type Tracker struct {
	rise, fall int

	mu                sync.Mutex
	up                bool
	against           int
	succeeded, failed int
}

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed++
		t.succeeded = 0
	} else {
		t.succeeded++
		t.failed = 0
	}
	if t.failed >= t.fall {
		t.up, changed = false, true
	}
	if t.succeeded >= t.rise {
		t.up, changed = true, true
	}
	return t.up, changed
}
