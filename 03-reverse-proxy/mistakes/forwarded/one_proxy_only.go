//go:build ignore

// It takes the last element, once. That is right behind one proxy. Behind two it
// is the other proxy, and all customers look like one machine: whoever limits
// requests by client then shuts out everybody at once.
//
//workshop:caught-by TestClient/is_found_behind_several_proxies
//workshop:says as long as the one that speaks is trusted, go on to the left
package forwarded

import (
	"net/http"
	"net/netip"
)

func (f *Forwarder) way(r *http.Request) []netip.Addr {
	peer, ok := parse(r.RemoteAddr)
	if !ok {
		return nil
	}
	if f.trusts(peer) {
		if client, ok := parse(last(r.Header["X-Forwarded-For"])); ok {
			return []netip.Addr{client, peer}
		}
	}
	return []netip.Addr{peer}
}
