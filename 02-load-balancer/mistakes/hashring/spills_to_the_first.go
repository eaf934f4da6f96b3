//go:build ignore

// When the key's backend is full, it takes the first one in the pool that has
// room. So what overflows anywhere falls on the same one, until that is full,
// and then on the next: a row of dominoes.
//
//workshop:caught-by TestPick/spills_to_the_next_in_the_order_of_the_key
//workshop:says goes to the first one with room
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
	var home, first *balancer.Backend
	var top float64
	for _, b := range pool {
		if !b.Available() {
			continue
		}
		if s := score(b, k); home == nil || s > top {
			home, top = b, s
		}
		if first == nil && h.room(b, total, weights) {
			first = b
		}
	}
	if home == nil || h.room(home, total, weights) || first == nil {
		return home
	}
	return first
}
