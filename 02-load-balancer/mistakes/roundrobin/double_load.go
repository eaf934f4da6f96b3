//go:build ignore

// From a backend that is down it goes on to the next one, and counts one turn
// for that. But the next one then has its own turn, too: it carries the load of
// two, and may be the next to break.
//
//workshop:caught-by TestPick/gives_the_neighbour_of_a_missing_one_no_second_turn
//workshop:says that one carries double load
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	b, _ := due(pool, r.turn.Add(1)-1)
	return b
}
