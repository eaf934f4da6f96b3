//go:build ignore

// It gives to identity the weight 1 where the field does not list it. Then a
// client that accepts gzip with a smaller weight never gets it. Not listed,
// identity is acceptable, but only as the last resort.
//
//workshop:caught-by TestChoose/takes_the_least_weight_rather_than_none
//workshop:says identity is not listed here, and so the last resort
package acceptencoding

func Choose(lines []string, offers []string) (coding string, ok bool) {
	best := 0
	for _, offer := range offers {
		if q, _ := weight(lines, offer); q > best {
			coding, best = offer, q
		}
	}
	q, listed := weight(lines, Identity)
	if !listed {
		q = 1000
	}
	if q > best {
		return Identity, true
	}
	if best == 0 {
		return Identity, false
	}
	return coding, true
}
