//go:build ignore

// It looks for the key's backend among all, also those that are down, and from
// there goes on to the next in the pool. So one neighbour inherits everything,
// carries double load, and may be the next to break.
//
//workshop:caught-by TestPick/moves_only_the_keys_of_the_one_that_left
//workshop:says One that gets all of them is the next to break
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
	home := 0
	var top float64
	var total int64
	var weights int
	for i, b := range pool {
		if s := score(b, k); s > top {
			home, top = i, s
		}
		if b.Available() {
			total += b.Active()
			weights += b.Weight()
		}
	}
	var first *balancer.Backend
	for i := range pool {
		b := pool[(home+i)%len(pool)]
		if !b.Available() {
			continue
		}
		if h.room(b, total, weights) {
			return b
		}
		if first == nil {
			first = b
		}
	}
	return first
}
