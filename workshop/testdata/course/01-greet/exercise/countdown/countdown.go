// Package countdown counts down.
package countdown

// From returns n, n-1, … 1; nothing for n below 1.
func From(n int) []int {
	// TODO(countdown): Count down to 1.
	return []int{-1}
}
