//go:build ignore

// It writes the name that stands in the examples, and not its own. All edges are
// called alike then: none can tell from Via whether a request has been there
// already, nor anybody from Forwarded by which one it came.
//
//workshop:caught-by TestForwarded/names_the_proxy_as_it_was_told_to
//workshop:says Config.Name is edge-1
package forwarded

import (
	"fmt"
	"net/http"
	"strings"
)

func (f *Forwarder) Set(out http.Header, r *http.Request) {
	way := f.way(r)
	list, nodes := make([]string, len(way)), make([]string, len(way))
	for i, a := range way {
		list[i], nodes[i] = a.String(), "for="+node(a)
	}
	if len(way) == 0 {
		list, nodes = []string{"unknown"}, []string{"for=unknown"}
	}
	host, proto := f.asked(r)
	nodes[0] += ";host=" + quote(host) + ";proto=" + proto
	nodes[len(nodes)-1] += ";by=_edge"
	via := append([]string(nil), r.Header["Via"]...)
	via = append(via, fmt.Sprintf("%d.%d edge", r.ProtoMajor, r.ProtoMinor))

	out.Set("X-Forwarded-For", strings.Join(list, ", "))
	out.Set("X-Forwarded-Host", host)
	out.Set("X-Forwarded-Proto", proto)
	out.Set("Forwarded", strings.Join(nodes, ", "))
	out.Set("Via", strings.Join(via, ", "))
}
