//go:build ignore

// It divides integers, which drops what is behind the point. 19 requests at
// weight 10 are then as much as 10, and the busier one wins half of the time.
//
//workshop:caught-by TestPick/weighs_requests_against_weight
//workshop:says not as integers
package leastconn

import "clicktocode.example/02-load-balancer/balancer"

func load(b *balancer.Backend) int64 {
	return (b.Active() + 1) / int64(b.Weight())
}
