//go:build ignore

// It takes a product for right if it is not below the price of one. But a product
// that does not fit wraps round to anything, and what it ends at may well be more
// than that. Look before multiplying, or divide what came out.
//
//workshop:caught-by TestOverflow/a_line_that_wraps_round_to_more_than_one_costs_is_an_error
//workshop:says more than one of them costs
package pricing

func times(a, b int64) (product int64, fits bool) { return a * b, b == 0 || a*b >= a }
