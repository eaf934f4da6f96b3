//go:build ignore

// It takes the empty key for a key like any other. But it stands for all the
// requests that belong to nobody, and all of them go to one backend.
//
//workshop:caught-by TestPick/spreads_requests_without_a_key
//workshop:says They belong to nobody
package hashring

import "clicktocode.example/02-load-balancer/balancer"

func (h *HashRing) Pick(pool []*balancer.Backend, key string) *balancer.Backend {
	k := hash(key)
	var total int64
	var weights int
	for _, b := range pool {
		if b.Available() {
			total += b.Active()
			weights += b.Weight()
		}
	}
	var best *balancer.Backend
	var top float64
	var roomy bool
	for _, b := range pool {
		if !b.Available() {
			continue
		}
		s, room := score(b, k), h.room(b, total, weights)
		if best == nil || room && !roomy || room == roomy && s > top {
			best, top, roomy = b, s, room
		}
	}
	return best
}
