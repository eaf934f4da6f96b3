//go:build ignore

// It lets Upgrade pass where the client asks for it properly, since WebSocket
// should work. But the question was put to this proxy, about this connection. If
// the server says yes, and the proxy is not ready to carry what follows, both
// ends talk past each other. A proxy that is ready sets its own in dst.
//
//workshop:caught-by TestCopy/leaves_out_Upgrade_though_it_says_websocket
//workshop:says Upgrade goes no further whatever it asks for
package hopbyhop

import (
	"net/http"
	"slices"
	"strings"
)

func Copy(dst, src http.Header) {
	named := make(map[string]bool)
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			named[http.CanonicalHeaderKey(strings.Trim(option, " \t"))] = true
		}
	}
	for name, values := range src {
		_, own := dst[name]
		websocket := name == "Upgrade" && named["Upgrade"]
		if own || !websocket && (named[name] || perHop(name)) {
			continue
		}
		dst[name] = slices.Clone(values)
	}
}
