//go:build ignore

// It gives to an offer the highest weight of all ranges that cover it. Then nothing
// can be refused, or liked less, beside a "*/*".
//
//workshop:caught-by TestRanges/what_is_named_overrules_anything
//workshop:says is more exact than "*/*" and gives JSON 0.1
package representation

func weight(listed []mediaRange, offer string) (q int) {
	o, _ := parse(offer)
	for _, m := range listed {
		if m.covers(o) {
			q = max(q, m.q)
		}
	}
	return q
}
