//go:build ignore

// It has the highest score, and no bound. When everybody wants the same song,
// its backend drowns, and the others stand by.
//
//workshop:caught-by TestPick/passes_the_bound_with_nobody
//workshop:says one key must not drown one backend
package hashring

import "clicktocode.example/02-load-balancer/balancer"

func (h *HashRing) room(*balancer.Backend, int64, int) bool { return true }
