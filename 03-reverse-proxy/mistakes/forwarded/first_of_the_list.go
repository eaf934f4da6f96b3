//go:build ignore

// It believes the whole list of a trusted proxy, and takes its first element for
// the client. But the proxy only wrote the last one, behind what was there. The
// first may have been made up by the client.
//
//workshop:caught-by TestClient/is_the_last_one_that_is_not_trusted
//workshop:says The last element is the word of the trusted peer
package forwarded

import (
	"net/http"
	"net/netip"
)

func (f *Forwarder) way(r *http.Request) (way []netip.Addr) {
	peer, ok := parse(r.RemoteAddr)
	if !ok {
		return nil
	}
	if f.trusts(peer) {
		for _, said := range elements(r.Header["X-Forwarded-For"]) {
			if hop, ok := parse(said); ok {
				way = append(way, hop)
			}
		}
	}
	return append(way, peer)
}
