//go:build ignore

// It counts in euros, as float64, and rounds to cents at the end. But a float64
// knows neither 10.35 × 0.1 nor 0.1, only numbers near them: half a cent is a
// little less then, and is rounded down. Amounts are whole cents, and shares of
// them are whole numbers over 10,000.
//
//workshop:caught-by TestTotals/sees_half_a_cent_where_a_float64_does_not
//workshop:says count in whole cents, as integers
package pricing

import "math"

func share(amount, points int64) int64 {
	euros := float64(amount) / 100
	rate := float64(points) / 10_000
	return int64(math.Round(euros * rate * 100))
}
