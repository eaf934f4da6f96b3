//go:build ignore

// It skips what is no address, and goes on to the left. But that something is
// whom the last proxy got the request from, and nobody knows who it is. What it
// said about others counts for nothing.
//
//workshop:caught-by TestClient/is_the_last_one_known_before_garbage
//workshop:says the search ends at 10.0.0.2
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
	said := elements(r.Header["X-Forwarded-For"])
	for i := len(said) - 1; i >= 0 && f.trusts(hop); i-- {
		if next, ok := parse(said[i]); ok {
			hop = next
			way = append(way, hop)
		}
	}
	slices.Reverse(way)
	return way
}
