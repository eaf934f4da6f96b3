//go:build ignore

// It appends to the X-Forwarded-For that is there, as many proxies do. If a
// client made that up, its word now stands first in a list that comes from the
// proxy, and who takes the first for the client believes it.
//
//workshop:caught-by TestXForwarded/replaces_what_a_client_made_up
//workshop:says nothing of what it wrote may go on
package forwarded

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (f *Forwarder) Set(out http.Header, r *http.Request) {
	var nodes []string
	for _, hop := range f.way(r) {
		nodes = append(nodes, "for="+node(hop))
	}
	peer := "unknown"
	if hop, ok := parse(r.RemoteAddr); ok {
		peer = hop.String()
	} else {
		nodes = []string{"for=unknown"}
	}
	host, proto := f.asked(r)
	nodes[0] += ";host=" + quote(host) + ";proto=" + proto
	nodes[len(nodes)-1] += ";by=_" + f.name
	via := fmt.Sprintf("%d.%d %s", r.ProtoMajor, r.ProtoMinor, f.name)

	out.Set("X-Forwarded-For", strings.Join(append(elements(r.Header["X-Forwarded-For"]), peer), ", "))
	out.Set("X-Forwarded-Host", host)
	out.Set("X-Forwarded-Proto", proto)
	out.Set("Forwarded", strings.Join(nodes, ", "))
	out.Set("Via", strings.Join(append(slices.Clone(r.Header["Via"]), via), ", "))
}
