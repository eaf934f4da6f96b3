//go:build ignore

// It takes as many turns as there are backends, and then says that none is
// available. But others take turns at the same time: of those of the only
// backend left, it may not have got a single one.
//
//workshop:caught-by TestPick/finds_the_only_one_left_whoever_comes_between
//workshop:says this Pick gave up
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	for range pool {
		turn := r.turn.Add(1) - 1
		if b := pool[turn%uint64(len(pool))]; b.Available() {
			return b
		}
	}
	return nil
}
