//go:build ignore

// It keeps the count when the opinion changes. What took the backend down then
// counts as if it had been in favour of it, and the next success brings it up.
//
//workshop:caught-by TestObserve/starts_over_after_a_change
//workshop:says what led to one change does not count towards the next
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
	if t.against++; t.against < needed {
		return t.up, false
	}
	t.up = !t.up
	return t.up, true
}
