//go:build ignore

// It falls back to identity, always. But a client can refuse that, too, and then
// it must learn that there is nothing for it.
//
//workshop:caught-by TestRefuse/identity_refused_leaves_nothing
//workshop:says nothing that the server has is acceptable
package acceptencoding

func Choose(lines []string, offers []string) (coding string, ok bool) {
	coding = Identity
	best := 0
	for _, offer := range offers {
		if q, _ := weight(lines, offer); q > best {
			coding, best = offer, q
		}
	}
	if q, _ := weight(lines, Identity); q > best {
		coding = Identity
	}
	return coding, true
}
