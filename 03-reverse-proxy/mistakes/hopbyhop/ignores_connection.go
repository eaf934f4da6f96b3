//go:build ignore

// It knows the fixed list, and nothing else. But a neighbour may make any field
// one of its own, by naming it in Connection: such a field is removed with it.
//
//workshop:caught-by TestCopy/leaves_out_what_Connection_names
//workshop:says they are for this neighbour alone
package hopbyhop

import (
	"net/http"
	"slices"
)

func Copy(dst, src http.Header) {
	for name, values := range src {
		if _, own := dst[name]; own || perHop(name) {
			continue
		}
		dst[name] = slices.Clone(values)
	}
}
