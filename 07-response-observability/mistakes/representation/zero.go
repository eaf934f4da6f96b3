//go:build ignore

// It takes weight 0 for a low one. But 0 means "not acceptable": the client cannot
// read this, and would rather have a 406.
//
//workshop:caught-by TestRefuse/weight_zero
//workshop:says Weight 0 means: not acceptable
package representation

func Choose(accept, offers []string) (mediaType string, ok bool) {
	listed := ranges(accept)
	if len(listed) == 0 {
		return offers[0], true
	}
	best := -1
	for _, offer := range offers {
		if q := weight(listed, offer); q > best {
			mediaType, best = offer, q
		}
	}
	return mediaType, best >= 0
}

// weight is -1 where no range covers offer.
func weight(listed []mediaRange, offer string) (q int) {
	o, _ := parse(offer)
	exact, q := -1, -1
	for _, m := range listed {
		names := len(m.params)
		if m.kind != "*" {
			names++
		}
		if m.sub != "*" {
			names++
		}
		if m.covers(o) && (names > exact || names == exact && m.q > q) {
			exact, q = names, m.q
		}
	}
	return q
}
