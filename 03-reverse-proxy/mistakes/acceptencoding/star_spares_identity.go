//go:build ignore

// It looks for identity by its own name alone. But "*" stands for all that is
// not listed, and identity is one of them: "*;q=0" refuses it.
//
//workshop:caught-by TestStar/refuses_identity_too
//workshop:says identity is not listed, so
package acceptencoding

import "strings"

func Choose(lines []string, offers []string) (coding string, ok bool) {
	best := 0
	for _, offer := range offers {
		if q, _ := weight(lines, offer); q > best {
			coding, best = offer, q
		}
	}
	q, listed := 0, false
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if name, n, ok := parse(element); ok && name == Identity && !listed {
			q, listed = n, true
		}
	}
	if q > best || best == 0 && !listed {
		return Identity, true
	}
	if best == 0 {
		return Identity, false
	}
	return coding, true
}
