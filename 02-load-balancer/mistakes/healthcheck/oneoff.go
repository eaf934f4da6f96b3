//go:build ignore

// It wants more results than fall and rise, not as many. Each outage lasts one
// check longer than its operator has reckoned with.
//
//workshop:caught-by TestObserve/goes_down_after_fall_failures_in_a_row
//workshop:says got UUUUd
//workshop:says the fourth comes too late
package healthcheck

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if (err == nil) == t.up {
		t.against = 0
		return t.up, false
	}
	needed := t.rise
	if t.up {
		needed = t.fall
	}
	t.against++
	if changed = t.against > needed; changed {
		t.up, t.against = !t.up, 0
	}
	return t.up, changed
}
