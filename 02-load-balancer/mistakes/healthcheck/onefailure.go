//go:build ignore

// It takes the backend down at the first failure. But one lost packet is no
// outage: backends that are well are taken out all the time, and the others
// have to carry their load.
//
//workshop:caught-by TestObserve/goes_down_after_fall_failures_in_a_row
//workshop:says got UdDDD
//workshop:says one lost packet must not take a backend out
package healthcheck

func (t *Tracker) Observe(err error) (up, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.up
	if err != nil {
		t.up, t.against = false, 0
	} else if !t.up {
		if t.against++; t.against >= t.rise {
			t.up, t.against = true, 0
		}
	}
	return t.up, t.up != before
}
