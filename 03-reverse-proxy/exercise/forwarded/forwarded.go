// Package forwarded tells the servers behind a proxy who asked, and whom, and
// how: what they could see themselves if no proxy stood between.
//
// To a server behind a proxy every request comes from the proxy. So the proxy
// writes into the header whom it got the request from. But clients write
// headers, too. Whoever believes what a client says of itself can be told
// anything. In the story, the gatekeeper notes at the door who came, and if a
// guest brings a note of his own, asks himself who wrote it.
//
// Source: RFC 7239 (Forwarded), RFC 9110 §7.6.3 (Via). X-Forwarded-For and its
// kind have no standard; they are older than it, and more widely read.
package forwarded

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Config is what a Forwarder works with. The zero Config trusts nobody.
type Config struct {
	// Trusted are the proxies whose word is believed: those that stand before
	// this one and write X-Forwarded-For, -Host and -Proto themselves, whatever
	// a client wrote into them. They are proxies, and not the network that they
	// are in, or every machine there is believed. nil trusts nobody.
	Trusted []netip.Prefix

	// Name is what this proxy calls itself in Via, and with a "_" before it in
	// Forwarded: letters, digits, ".", "_" and "-". "" is "edge".
	Name string
}

// Forwarder writes and reads the fields. Make one with New. It never changes, so
// that many goroutines may use it at once.
type Forwarder struct {
	trusted []netip.Prefix
	name    string
}

// New returns a Forwarder that works as c says, or all faults of c.
func New(c Config) (*Forwarder, error) {
	f := &Forwarder{trusted: slices.Clone(c.Trusted), name: c.Name}
	if f.name == "" {
		f.name = "edge"
	}
	var faults []error
	if i := strings.IndexFunc(f.name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-", c))
	}); i >= 0 {
		faults = append(faults, fmt.Errorf("forwarded: name %q: %q is no letter, digit, dot, underscore or hyphen", f.name, f.name[i:]))
	}
	for _, p := range f.trusted {
		if !p.IsValid() {
			faults = append(faults, errors.New("forwarded: a trusted prefix is the zero one"))
		} else if p.Addr().Is4In6() {
			faults = append(faults, fmt.Errorf("forwarded: trusted prefix %v never matches: write it as IPv4", p))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return f, nil
}

// Set writes into out, the header of the request that goes on, where r came
// from. It replaces what out holds in these fields, whether that is a copy of
// r's or not, by one line each, and reads r only. All else in out stays.
//
//	X-Forwarded-For    the way that r took, as far as it can be believed: the
//	                   client, then the proxies in their order, the last of them
//	                   being the peer of r. As in "192.0.2.7, 10.0.0.1". What is
//	                   said about the way before the client is left out.
//	X-Forwarded-Host   whom the client asked: r.Host
//	X-Forwarded-Proto  how: "https" if r came over TLS, otherwise "http"
//	Forwarded          the same once more (RFC 7239): an element for= for each of
//	                   X-Forwarded-For, the first with host= and proto=, the last
//	                   with by=. As in
//	                   for=192.0.2.7;host="shop.test";proto=https, for="[2001:db8::1]";by=_edge
//	Via                r's, and behind it the version by which r came, and Name
//	                   (RFC 9110 §7.6.3). As in "1.1 front, 2.0 edge"
//
// If the peer is trusted, its X-Forwarded-Host and its X-Forwarded-Proto ("http"
// or "https") take the place of r's own: of several values the last, which it
// wrote itself. Whatever else r holds in these fields is dropped, but for Via,
// from which nobody concludes who asked.
//
// IPv6 addresses stand bare in X-Forwarded-For, and in brackets and quotes in
// Forwarded. There the host is in quotes, too, since the client chose it, and it
// might hold a `"`. If the peer has no address, "unknown" stands for it.
func (f *Forwarder) Set(out http.Header, r *http.Request) {
	// TODO(forwarded): Write way first, below. Each address on it gives one element of
	// X-Forwarded-For, and one of Forwarded, where IPv6 looks otherwise. asked has
	// host and proto. Mind the quotes of the host.
	// The reference imports, besides what stands above: "strconv".
}

// Client is who is believed to have asked: the peer of r, unless that is trusted.
// Then it is whom the peer got the request from, by its X-Forwarded-For, unless
// that is trusted, too; and so on, from the right to the left. If all are
// trusted, it is the first. What cannot be read ends the search: whoever wrote
// it is the last one known. It is the zero Addr if r's peer has no address.
//
// Only X-Forwarded-For is believed, never Forwarded: a proxy that writes only one
// of the two passes on what a client made up in the other.
func (f *Forwarder) Client(r *http.Request) netip.Addr {
	if way := f.way(r); len(way) > 0 {
		return way[0]
	}
	return netip.Addr{}
}

// way is the way that r took, as far as it can be believed: the client first,
// the peer of r last. It is empty if the peer has no address.
func (f *Forwarder) way(r *http.Request) []netip.Addr {
	// TODO(forwarded): Begin with the peer, r.RemoteAddr. As long as the one that you have last is
	// trusted, take the next element of X-Forwarded-For, from the right. parse and
	// f.trusts help.
	return nil
}

// asked is whom the client asked, and how: r's own host and "https" or "http", or
// what the peer says about that, if it is trusted.
func (f *Forwarder) asked(r *http.Request) (host, proto string) {
	host, proto = r.Host, "http"
	if r.TLS != nil {
		proto = "https"
	}
	if peer, ok := parse(r.RemoteAddr); !ok || !f.trusts(peer) {
		return host, proto
	}
	if said := last(r.Header["X-Forwarded-Host"]); said != "" {
		host = said
	}
	if said := strings.ToLower(last(r.Header["X-Forwarded-Proto"])); said == "http" || said == "https" {
		proto = said
	}
	return host, proto
}

// trusts reports whether a is one of the trusted proxies.
func (f *Forwarder) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parse reads an address, as they stand in http.Request.RemoteAddr and in
// X-Forwarded-For: with a port or without, IPv6 in brackets or bare. An IPv4
// address in IPv6's form (::ffff:192.0.2.7) is an IPv4 address: a socket for both
// has them so. A zone (fe80::1%eth0) is left out: it means something on one
// machine alone.
func parse(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	} else if inner, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(s)
	return a.WithZone("").Unmap(), err == nil
}

// elements are those of a field that is a list, on any number of lines, without
// the empty ones (RFC 9110 §5.6.1).
func elements(lines []string) (all []string) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				all = append(all, element)
			}
		}
	}
	return all
}

// last is the last of a field's elements, "" if there is none.
func last(lines []string) string {
	if all := elements(lines); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// quote makes a quoted-string of s (RFC 9110 §5.6.4).
func quote(s string) string { return `"` + escaper.Replace(s) + `"` }

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
