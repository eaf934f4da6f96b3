// Package countdown counts down.
package countdown

// From returns n, n-1, … 1; nothing for n below 1.
func From(n int) []int {
	//workshop:begin return []int{-1}
	//workshop:todo Count down to 1.
	var all []int
	for ; n > 0; n-- {
		all = append(all, n)
	}
	return all
	//workshop:end
}
