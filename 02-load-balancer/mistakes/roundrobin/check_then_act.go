//go:build ignore

// It reads whose turn it is, and then writes down the next one: two steps. Who
// comes between them reads the same turn, so that two requests go to one
// backend. On a quiet day nobody notices.
//
//workshop:caught-by TestPick/gives_no_turn_to_two_callers
//workshop:says they read the same turn
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	b, next := due(pool, r.turn.Load())
	if b != nil {
		r.turn.Store(next)
	}
	return b
}
