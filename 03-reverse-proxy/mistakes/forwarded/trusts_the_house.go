//go:build ignore

// It trusts addresses of this machine and of private networks, without being
// told to. But in a cloud or an office, many a stranger has such an address, and
// on one machine any program.
//
//workshop:caught-by TestClient/is_believed_of_nobody_by_default
//workshop:says Nobody is trusted unless he is named
package forwarded

import (
	"net/netip"
	"slices"
)

func (f *Forwarder) trusts(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}
