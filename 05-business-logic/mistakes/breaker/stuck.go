//go:build ignore

// It looks away when a call has found out nothing. If that call was the probe, its
// place stays taken, and no other call is made, for ever.
//
//workshop:caught-by TestDo/sends_another_probe_when_the_first_ones_caller_left
//workshop:says If its place is not given back
package breaker

func (b *Breaker) leave(term int, result outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if term != b.term || result == neither {
		return
	}
	b.probing = false
	switch {
	case result == success && b.state == HalfOpen:
		b.setLocked(Closed)
	case result == success:
		b.failures = 0
	case result == failure:
		b.failures++
		if b.state == HalfOpen || b.failures >= b.config.Failures {
			b.setLocked(Open)
		}
	}
}
