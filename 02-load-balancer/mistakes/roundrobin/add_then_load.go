//go:build ignore

// It counts in one step, and then reads what the count has become. By then it
// may be another caller's: what Add returns is yours, what Load returns is not.
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
