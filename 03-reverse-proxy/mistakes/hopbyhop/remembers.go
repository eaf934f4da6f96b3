//go:build ignore

// It adds the names to the list of the package, which is there once for all
// requests. What one client has named is then taken away from everybody, until the
// proxy is started anew; and two requests at once write to the same map.
//
//workshop:caught-by TestConnection/for_one_call_alone
//workshop:says What the first request named still counts
package hopbyhop

import (
	"net/http"
	"slices"
	"strings"
)

var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Transfer-Encoding": true, "Upgrade": true,
	"Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Authentication-Info": true,
}

func Copy(dst, src http.Header) {
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			hop[http.CanonicalHeaderKey(strings.TrimSpace(option))] = true
		}
	}
	for name, values := range src {
		if _, own := dst[name]; own || hop[name] {
			continue
		}
		dst[name] = slices.Clone(values)
	}
}
