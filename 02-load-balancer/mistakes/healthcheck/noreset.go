//go:build ignore

// It counts failures, and never forgets them. Three failures in a week are then
// as bad as three in a row, and sooner or later every backend is down.
//
//workshop:caught-by TestObserve/starts_over_after_a_success
//workshop:says a success clears those before it
package healthcheck

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if (err == nil) == t.up {
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
