//go:build ignore

// It brings the backend up at the first success. A backend that is still
// starting, or that answers now and then, gets requests each time it does.
//
//workshop:caught-by TestObserve/comes_up_after_rise_successes_in_a_row
//workshop:says got DuUUU
//workshop:says rise is 4: three successes change nothing
package healthcheck

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.up
	if err == nil {
		t.up, t.against = true, 0
	} else if t.up {
		if t.against++; t.against >= t.fall {
			t.up, t.against = false, 0
		}
	}
	return t.up, t.up != before
}
