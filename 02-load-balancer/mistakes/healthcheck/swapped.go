//go:build ignore

// It has rise and fall the wrong way round. A backend that is up is taken down
// by failures, and these are counted against fall.
//
//workshop:caught-by TestObserve/goes_down_after_fall_failures_in_a_row
//workshop:says got UUdDD
//workshop:says the third failure in a row takes it down
package healthcheck

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if (err == nil) == t.up {
		t.against = 0
		return t.up, false
	}
	needed := t.fall
	if t.up {
		needed = t.rise
	}
	if t.against++; t.against < needed {
		return t.up, false
	}
	t.up, t.against = !t.up, 0
	return t.up, true
}
