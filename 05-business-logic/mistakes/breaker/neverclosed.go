//go:build ignore

// Its probe succeeds, and nothing follows from that: the breaker stays half open, and
// makes one call at a time for the rest of its days.
//
//workshop:caught-by TestDo/closes_when_the_probe_succeeds
//workshop:says after a probe that has succeeded
package breaker

func (b *Breaker) leave(term int, result outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if term != b.term {
		return
	}
	b.probing = false
	switch {
	case result == success:
		b.failures = 0
	case result == failure:
		b.failures++
		if b.state == HalfOpen || b.failures >= b.config.Failures {
			b.setLocked(Open)
		}
	}
}
