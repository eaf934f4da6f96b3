//go:build ignore

// It adds i to the turn, and takes the remainder of the sum. At the largest
// uint64 the sum begins again at 0, and 1<<64 is no multiple of 3: one backend
// is looked at twice, and another one, perhaps the only one left, not at all.
//
//workshop:caught-by TestPick/goes_on_evenly_where_the_counter_ends
//workshop:says a backend is never looked at
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func due(pool []*balancer.Backend, turn uint64) (b *balancer.Backend, next uint64) {
	n := uint64(len(pool))
	for i := range n {
		at := (turn + i) % n
		if pool[at].Available() {
			return pool[at], at + 1
		}
	}
	return nil, turn
}
