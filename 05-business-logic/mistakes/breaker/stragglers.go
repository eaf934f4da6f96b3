//go:build ignore

// It counts each call when it is over, whenever that began. One that hung since before
// the breaker opened, and comes to its end only now, is taken for news.
//
//workshop:caught-by TestDo/does_not_close_for_a_call_from_before
//workshop:says of an earlier term
package breaker

func (b *Breaker) leave(term int, result outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch {
	case result == success && b.state != Closed:
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
