//go:build ignore

// It compares the requests alone. A backend of weight 4 was meant to carry four
// times as many, and gets as many as the small one beside it, which is full.
//
//workshop:caught-by TestPick/weighs_requests_against_weight
//workshop:says compare (Active + 1) / Weight
package leastconn

import "clicktocode.example/02-load-balancer/balancer"

func load(b *balancer.Backend) int64 { return b.Active() }
