//go:build ignore

// It puts the slices of src into dst. Both headers have the same values then: to
// change one in the answer that goes out changes it in the one that is stored.
//
//workshop:caught-by TestValues/are_the_same_for_src_when_dst_changes
//workshop:says Both have the same slice
package hopbyhop

import (
	"net/http"
	"strings"
)

func Copy(dst, src http.Header) {
	named := make(map[string]bool)
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			named[http.CanonicalHeaderKey(strings.TrimSpace(option))] = true
		}
	}
	for name, values := range src {
		if _, own := dst[name]; own || named[name] || perHop(name) {
			continue
		}
		dst[name] = values
	}
}
