//go:build ignore

// It takes the first range that covers an offer, and "*/*" covers all of them. But a
// range that names the type overrules it, also from behind.
//
//workshop:caught-by TestRanges/what_is_named_overrules_anything
//workshop:says is more exact than "*/*" and gives JSON 0.1
package representation

func weight(listed []mediaRange, offer string) (q int) {
	o, _ := parse(offer)
	for _, m := range listed {
		if m.covers(o) {
			return m.q
		}
	}
	return 0
}
