//go:build ignore

// It looks only at those that have room. Mostly there is one. But counts change
// while it looks, and when it finds none, it returns nil: the request is
// refused, though all backends are well.
//
//workshop:caught-by TestPick/finds_one_where_none_has_room
//workshop:says nil says that none is available
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
		if b.Available() {
			total += b.Active()
			weights += b.Weight()
		}
	}
	var best *balancer.Backend
	for _, b := range pool {
		if b.Available() && h.room(b, total, weights) && (best == nil || score(b, k) > score(best, k)) {
			best = b
		}
	}
	return best
}
