//go:build ignore

// It reckons the bound over the whole pool, those that are down included. What
// they should carry, nobody does: the others are full too early, or, as here,
// the requests that hang at a dead one raise the bound for all.
//
//workshop:caught-by TestPick/passes_the_bound_with_nobody
//workshop:says over those available
package hashring

import (
	"math/rand/v2"

	"clicktocode.example/02-load-balancer/balancer"
)

func (h *HashRing) Pick(pool []*balancer.Backend, key string) *balancer.Backend {
	k := hash(key)
	if key == "" {
		k = rand.Uint64()
	}
	var total int64
	var weights int
	for _, b := range pool {
		total += b.Active()
		weights += b.Weight()
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
