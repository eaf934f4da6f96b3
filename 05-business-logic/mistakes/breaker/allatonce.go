//go:build ignore

// When its time is over, all calls are probes. Those who have waited come at once, and
// run over who has just got up: so it never comes back.
//
//workshop:caught-by TestDo/sends_one_probe
//workshop:says All who have waited would come at once
package breaker

func (b *Breaker) enter() (term int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open {
		if b.config.Now().Sub(b.changed) < b.config.Open {
			return 0, false
		}
		b.setLocked(HalfOpen)
	}
	return b.term, true
}
