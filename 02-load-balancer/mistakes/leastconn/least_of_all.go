//go:build ignore

// It looks at all backends, and takes the least busy one. That costs more the
// more there are; and every balancer that looks at the same moment finds the
// same one, so that all of them rush at it.
//
//workshop:caught-by TestPick/leaves_it_to_chance_where_all_are_as_busy
//workshop:says will all rush at it
package leastconn

import "clicktocode.example/02-load-balancer/balancer"

func (l *LeastConn) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	var least *balancer.Backend
	for _, b := range pool {
		if b.Available() && (least == nil || load(b) < load(least)) {
			least = b
		}
	}
	return least
}
