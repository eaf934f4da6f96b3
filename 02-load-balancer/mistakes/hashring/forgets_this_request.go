//go:build ignore

// It reckons the bound from what is under way, without the request that is to
// be sent. With little load that is too tight: keys are sent away from where
// they belong, although there is room.
//
//workshop:caught-by TestPick/stays_while_there_is_room
//workshop:says Does this request count?
package hashring

import (
	"math"

	"clicktocode.example/02-load-balancer/balancer"
)

func (h *HashRing) room(b *balancer.Backend, total int64, weights int) bool {
	bound := math.Ceil(h.factor * float64(total) * float64(b.Weight()) / float64(weights))
	return h.factor == 0 || float64(b.Active()) < bound
}
