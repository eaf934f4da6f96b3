//go:build ignore

// It names the start alone.
//
//workshop:caught-by TestFrom/counts_from_0
//workshop:says down to 1, and no further
package countdown

func From(n int) []int { return []int{n} }
