//go:build ignore

// Where there is no X-Forwarded-For, it looks into Forwarded. But a proxy that
// does not know that field passes it on as a client made it up: whoever writes
// one at home is then whoever he wants to be.
//
//workshop:caught-by TestClient/is_not_taken_from_Forwarded
//workshop:says Forwarded is never believed
package forwarded

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

func (f *Forwarder) way(r *http.Request) []netip.Addr {
	hop, ok := parse(r.RemoteAddr)
	if !ok {
		return nil
	}
	way := []netip.Addr{hop}
	said := elements(r.Header["X-Forwarded-For"])
	if len(said) == 0 {
		for _, element := range elements(r.Header["Forwarded"]) {
			_, node, _ := strings.Cut(element, "for=")
			node, _, _ = strings.Cut(node, ";")
			said = append(said, strings.Trim(node, `"`))
		}
	}
	for i := len(said) - 1; i >= 0 && f.trusts(hop); i-- {
		if hop, ok = parse(said[i]); !ok {
			break
		}
		way = append(way, hop)
	}
	slices.Reverse(way)
	return way
}
