//go:build ignore

// It reads X-Forwarded-For whoever sent it. But a client can write one, too, and
// is then whoever it wants to be: another customer, or a machine in the house.
//
//workshop:caught-by TestClient/is_nobody_that_the_peer_makes_up
//workshop:says what it says of itself counts for nothing
package forwarded

import (
	"net/http"
	"net/netip"
)

func (f *Forwarder) way(r *http.Request) (way []netip.Addr) {
	for _, said := range append(elements(r.Header["X-Forwarded-For"]), r.RemoteAddr) {
		if hop, ok := parse(said); ok {
			way = append(way, hop)
		}
	}
	return way
}
