//go:build ignore

// It counts for ever, and takes the count modulo the size of the pool. Behind
// its largest value the count is 0 again, in the middle of a round: one backend
// gets two turns running. With a random start, that may happen any day.
//
//workshop:caught-by TestPick/goes_on_evenly_where_the_counter_ends
//workshop:says one backend gets two turns running
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	var turn uint64
	for range pool {
		turn = r.turn.Add(1) - 1
		if b := pool[turn%uint64(len(pool))]; b.Available() {
			return b
		}
	}
	b, _ := due(pool, turn)
	return b
}
