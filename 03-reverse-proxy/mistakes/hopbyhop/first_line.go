//go:build ignore

// It asks Get for Connection. But Get returns the first line of a field, and a
// list may stand on several: what the others name goes on.
//
//workshop:caught-by TestConnection/on_several_lines
//workshop:says src.Get returns the first one alone
package hopbyhop

import (
	"net/http"
	"slices"
	"strings"
)

func Copy(dst, src http.Header) {
	named := make(map[string]bool)
	for option := range strings.SplitSeq(src.Get("Connection"), ",") {
		named[http.CanonicalHeaderKey(strings.TrimSpace(option))] = true
	}
	for name, values := range src {
		if _, own := dst[name]; own || named[name] || perHop(name) {
			continue
		}
		dst[name] = slices.Clone(values)
	}
}
