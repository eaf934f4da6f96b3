//go:build ignore

// It breaks a tie between two offers by how exactly each was named. But that decides only
// which range counts for one offer. Between offers of equal weight the server's order does.
//
//workshop:caught-by TestRanges/what_is_named_is_not_liked_better_for_it
//workshop:says Between offers only weights count
package representation

func Choose(accept, offers []string) (mediaType string, ok bool) {
	listed := ranges(accept)
	if len(listed) == 0 {
		return offers[0], true
	}
	best, bestExact := 0, 0
	for _, offer := range offers {
		q, exact := weight(listed, offer)
		if q > best || q == best && q > 0 && exact > bestExact {
			mediaType, best, bestExact = offer, q, exact
		}
	}
	return mediaType, best > 0
}

// weight is what the ranges give to offer, in thousandths, and how exact the one is that
// does.
func weight(listed []mediaRange, offer string) (q, exact int) {
	o, _ := parse(offer)
	exact = -1
	for _, m := range listed {
		if !m.covers(o) {
			continue
		}
		names := len(m.params)
		if m.kind != "*" {
			names++
		}
		if m.sub != "*" {
			names++
		}
		if names > exact || names == exact && m.q > q {
			exact, q = names, m.q
		}
	}
	return q, exact
}
