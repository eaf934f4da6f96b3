//go:build ignore

// It looks at the turn and changes it in two steps, be it a Load and then a
// Store, or an Add and then a Load. Who comes between them gets the same turn.
//
//workshop:caught-by TestPick/gives_no_turn_to_two_callers
//workshop:says they read the same turn
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	for range pool {
		r.turn.Add(1)
		if b := pool[(r.turn.Load()-1)%uint64(len(pool))]; b.Available() {
			return b
		}
	}
	b, _ := due(pool, r.turn.Load())
	return b
}
