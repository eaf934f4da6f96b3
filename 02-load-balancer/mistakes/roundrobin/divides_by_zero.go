//go:build ignore

// It makes a list of those available, and takes the turn modulo its length.
// When none is left, that length is zero, and Go panics.
//
//workshop:caught-by TestPick/returns_nil_when_none_is_available
//workshop:says divides by zero
package roundrobin

import "clicktocode.example/02-load-balancer/balancer"

func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	var up []*balancer.Backend
	for _, b := range pool {
		if b.Available() {
			up = append(up, b)
		}
	}
	return up[(r.turn.Add(1)-1)%uint64(len(up))]
}
