//go:build ignore

// It multiplies and divides. But dividing integers cuts off what is left over:
// 21.70 cents become 21, and each order's tax is up to a cent too small.
//
//workshop:caught-by TestTotals/rounds_more_than_half_a_cent_up
//workshop:says cuts off what is left over
package pricing

func share(amount, points int64) int64 {
	return amount/whole*points + amount%whole*points/whole
}
