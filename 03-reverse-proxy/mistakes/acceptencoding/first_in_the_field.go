//go:build ignore

// It takes the first element of the field that is on offer. But the order of the
// elements means nothing: the weights count, and among equals the server's order.
//
//workshop:caught-by TestChoose/follows_the_server_among_equals
//workshop:says Among equals the first of the offers wins
package acceptencoding

import (
	"slices"
	"strings"
)

func Choose(lines []string, offers []string) (coding string, ok bool) {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, q, ok := parse(element)
		if ok && q > 0 && slices.Contains(offers, name) {
			return name, true
		}
	}
	return Identity, true
}
