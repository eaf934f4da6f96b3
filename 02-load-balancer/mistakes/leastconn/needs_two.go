//go:build ignore

// It takes for granted that there are two to choose from. When the second last
// backend falls, the last one gets no requests either, and all is lost.
//
//workshop:caught-by TestPick/returns_nil_when_none_is_available
//workshop:says there is no second one to draw
package leastconn

import "clicktocode.example/02-load-balancer/balancer"

func (l *LeastConn) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	one := l.draw(pool, nil)
	two := l.draw(pool, one)
	if one == nil || two == nil {
		return nil
	}
	if load(two) < load(one) {
		return two
	}
	return one
}
