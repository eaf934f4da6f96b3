//go:build ignore

// It counts one step too far.
//
//workshop:caught-by TestFrom/counts_from_0
//workshop:says down to 1, and no further
package countdown

func From(n int) []int {
	var all []int
	for ; n >= 0; n-- {
		all = append(all, n)
	}
	return all
}
