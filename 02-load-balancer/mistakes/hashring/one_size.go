//go:build ignore

// Its bound is the same for all, and leaves out the backend's own weight. A big
// one, which could do the work of two, is full at half of its share, and its
// keys move for nothing.
//
//workshop:caught-by TestPick/gives_big_ones_more_room
//workshop:says its own weight over the sum of all weights
package hashring

import (
	"math"

	"clicktocode.example/02-load-balancer/balancer"
)

func (h *HashRing) room(b *balancer.Backend, total int64, weights int) bool {
	bound := math.Ceil(h.factor * float64(total+1) / float64(weights))
	return h.factor == 0 || float64(b.Active()) < bound
}
