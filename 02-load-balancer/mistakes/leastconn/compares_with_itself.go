//go:build ignore

// It draws twice, and does not see to it that the second one is another one. In
// a pool of two, half of all comparisons are between a backend and itself, and
// the busier one gets a quarter of the requests.
//
//workshop:caught-by TestPick/picks_the_less_busy_of_two
//workshop:says a backend compared with itself wins
package leastconn

import "clicktocode.example/02-load-balancer/balancer"

func (l *LeastConn) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	one, two := l.draw(pool, nil), l.draw(pool, nil)
	if two != nil && load(two) < load(one) {
		return two
	}
	return one
}
