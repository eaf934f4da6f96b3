//go:build ignore

// It reads the first line of X-Forwarded-For, which is what Get returns. That is
// the client's own line, if a proxy added another one behind it.
//
//workshop:caught-by TestClient/is_found_on_several_lines
//workshop:says the client's own line comes first
package forwarded

import (
	"net/http"
	"net/netip"
	"slices"
)

func (f *Forwarder) way(r *http.Request) []netip.Addr {
	hop, ok := parse(r.RemoteAddr)
	if !ok {
		return nil
	}
	way := []netip.Addr{hop}
	said := elements([]string{r.Header.Get("X-Forwarded-For")})
	for i := len(said) - 1; i >= 0 && f.trusts(hop); i-- {
		if hop, ok = parse(said[i]); !ok {
			break
		}
		way = append(way, hop)
	}
	slices.Reverse(way)
	return way
}
