// Package hopbyhop copies a header from one connection to the next, without the
// fields that were meant for the first one only.
//
// A proxy stands between two connections. Some fields of a header are a word
// between neighbours: how this connection is kept, how this body is framed.
// They end at the proxy, in both directions. The others go all the way. In the
// story, the gatekeeper carries the order inside, and not what was said to him.
//
// Source: RFC 9110 §7.6.1 (Connection), §11.7 (Proxy-Authorization and its
// kind); RFC 9112 §6.1 (Transfer-Encoding). [net/http/httputil.ReverseProxy]
// does nearly the same, and for itself alone: it takes away Trailer, too, lets
// Proxy-Authentication-Info pass, and says "TE: trailers" and Upgrade again.
package hopbyhop

import (
	"net/http"
	"strings"
)

// Copy adds to dst the fields of src that go further than one hop. A field that
// dst holds already is the proxy's own and is left as it is, even one that has
// no values; nothing that src says can take it away.
//
// These go no further (RFC 9110 §7.6.1, §11.7):
//
//	Connection, and every field that it names
//	Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade
//	Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info
//
// They go no further whatever they say, "TE: trailers" and "Upgrade: websocket"
// included. No other field is on the list, whatever its name begins with:
// Proxy-Status goes all the way (RFC 9209).
//
// Connection may stand on several lines; each is a list with commas, of names in
// any case, with spaces or tabs around them, or with nothing at all between two
// commas. What stands there is one name as a whole, or names nothing ("X-A;q=1",
// "X-A X-B"). It may name a field that it never should, such as Cache-Control or
// X-Forwarded-For: src's goes no further, either, which the standard demands, and
// the loss is the sender's. What it names counts for this call alone. Trailer
// stays: trailers go all the way.
//
// All else is copied with all its values, in their order. dst's values are its
// own: to change them changes nothing in src, nor the other way round. src is
// only read, so that many may copy from it at once. Keys are in the form that
// net/http gives them ([http.CanonicalHeaderKey]). src may be nil, dst must not.
//
// The time that it takes grows with the fields and names, and not with the one
// times the other: a client may send ten thousands of both.
//
// What the proxy wants to say to its next neighbour, such as "TE: trailers" or
// "Upgrade", it sets in dst itself, before or after.
func Copy(dst, src http.Header) {
	//workshop:begin
	//workshop:todo First find out which fields Connection names. Then look at each field of
	//workshop:todo src: does dst hold it, is it on the list, did Connection name it? If not,
	//workshop:todo give dst a copy of its values.
	var named map[string]bool // made only if it is needed, which for most messages it is not
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			name := http.CanonicalHeaderKey(strings.Trim(option, " \t"))
			if _, there := src[name]; !there || perHop(name) {
				continue
			}
			if named == nil {
				named = make(map[string]bool)
			}
			named[name] = true // a set: to search a list for each field lets a megabyte of names cost seconds
		}
	}
	all := make([]string, 0, len(src)) // one array for the values of all fields, as most have one
	for name, values := range src {
		if _, own := dst[name]; own || named[name] || perHop(name) {
			continue
		}
		from := len(all)
		all = append(all, values...)
		dst[name] = all[from:len(all):len(all)] // its capacity ends here: an Add to it must not run into the next field
	}
	//workshop:end
}

// perHop reports whether the field is for one connection, whoever names it.
//
//workshop:omit
func perHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info":
		return true
	}
	return false
}
