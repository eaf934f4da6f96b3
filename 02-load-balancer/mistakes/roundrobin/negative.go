//go:build ignore

// It makes the count an int. In its upper half that is a negative number, and
// in Go -5 % 3 is -2, which is no place in a pool.
//
//workshop:caught-by TestPick/goes_on_evenly_where_the_counter_ends
//workshop:says An index was negative
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	turn := 0
	for range pool {
		turn = int(r.turn.Add(1) - 1)
		if b := pool[turn%len(pool)]; b.Available() {
			return b
		}
	}
	b, _ := due(pool, uint64(turn))
	return b
}
