//go:build ignore

// It takes the hash modulo the number of backends. When one leaves, that number
// is another one for all keys: of ten backends' keys, nine in ten move, and all
// that was remembered of them is lost at once.
//
//workshop:caught-by TestPick/moves_only_the_keys_of_the_one_that_left
//workshop:says n is in every key's sum
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
	var up []*balancer.Backend
	for _, b := range pool {
		if b.Available() {
			up = append(up, b)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[mix(k)%uint64(len(up))]
}
