//go:build ignore

// It takes the lock when a call begins, and gives it back when the call is over. So
// there is one call at a time, and when the callee hangs, all others wait for the
// lock: that is the outage that a breaker is there to prevent.
//
//workshop:caught-by TestDo/makes_calls_side_by_side
//workshop:says both run side by side
package breaker

func (b *Breaker) enter() (term int, ok bool) {
	b.mu.Lock()
	if b.state == Open {
		if b.config.Now().Sub(b.changed) < b.config.Open {
			b.mu.Unlock()
			return 0, false
		}
		b.setLocked(HalfOpen)
	}
	if b.state == HalfOpen {
		if b.probing {
			b.mu.Unlock()
			return 0, false
		}
		b.probing = true
	}
	return b.term, true
}

func (b *Breaker) leave(term int, result outcome) {
	defer b.mu.Unlock()
	if term != b.term {
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
