//go:build ignore

// It multiplies first, and divides then. The share fits into an int64, but what is
// in between, up to 10,000 times the amount, may not, and wraps round.
//
//workshop:caught-by TestOverflow/a_share_of_an_amount_fits_where_points_times_amount_does_not
//workshop:says on the way there, does not
package pricing

func share(amount, points int64) int64 {
	return (points*amount + whole/2) / whole
}
