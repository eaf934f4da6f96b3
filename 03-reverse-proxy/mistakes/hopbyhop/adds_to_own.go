//go:build ignore

// It adds each value to what dst holds. A field that the proxy has set then
// stands there twice, once as it is and once as the client would have it, and
// who reads it may believe either.
//
//workshop:caught-by TestOwn/is_left_as_it_is
//workshop:says What dst holds stays as it is
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
		if named[name] || perHop(name) {
			continue
		}
		for _, value := range values {
			dst.Add(name, value)
		}
	}
}
