//go:build ignore

// It forgets the lock when a call is over. Many are over at once: two of them read the
// same b.failures, and one failure is lost; or the breaker changes its state while
// another call is being let in.
//
//workshop:caught-by TestDo/changes_its_state_under_the_lock
//workshop:says each of them takes it first
package breaker

func (b *Breaker) leave(term int, result outcome) {
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
