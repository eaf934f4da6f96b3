//go:build ignore

// When the key's backend is full, it takes the least busy one. That changes
// with every request, so the overflowing key is spread over all backends, and
// none of them remembers it. The next in the key's own order always is the same.
//
//workshop:caught-by TestPick/spills_to_the_next_in_the_order_of_the_key
//workshop:says Each key has an order of its own
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
	var home, idlest *balancer.Backend
	var top float64
	for _, b := range pool {
		if !b.Available() {
			continue
		}
		if s := score(b, k); home == nil || s > top {
			home, top = b, s
		}
		if idlest == nil || b.Active()*int64(idlest.Weight()) < idlest.Active()*int64(b.Weight()) {
			idlest = b
		}
	}
	if home == nil || h.room(home, total, weights) {
		return home
	}
	return idlest
}
