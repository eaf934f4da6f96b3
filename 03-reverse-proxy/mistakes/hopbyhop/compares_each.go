//go:build ignore

// For each field it goes through the whole list of what Connection names. For
// the headers of every day that is quick. But a client may name ten thousands of
// fields and send as many others, and holds up the proxy for seconds each time.
//
//workshop:caught-by TestCost/stays_small_for_thousands_of_names
//workshop:says Look the names up in a map
package hopbyhop

import (
	"net/http"
	"slices"
	"strings"
)

func Copy(dst, src http.Header) {
	var named []string
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			named = append(named, http.CanonicalHeaderKey(strings.TrimSpace(option)))
		}
	}
	for name, values := range src {
		if _, own := dst[name]; own || perHop(name) || slices.Contains(named, name) {
			continue
		}
		dst[name] = slices.Clone(values)
	}
}
