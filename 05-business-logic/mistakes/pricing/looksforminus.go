//go:build ignore

// It takes a product for right if it is not negative. For a sum of two that works:
// it wraps round once at most, and that makes it negative. A product may wrap
// round many times, and end anywhere.
//
//workshop:caught-by TestOverflow/a_line_that_wraps_round_to_a_positive_amount_is_an_error
//workshop:says which looks like a price
package pricing

func times(a, b int64) (product int64, fits bool) { return a * b, a*b >= 0 }
