//go:build ignore

// It takes no-cache for no-store. The name invites it. But no-cache says: keep it, and
// ask before you use it. What is not kept cannot be confirmed with a 304, so all of
// it is sent again each time.
//
//workshop:caught-by TestMay/keeps_what_is_to_be_confirmed_each_time
//workshop:says it must be stored
package storable

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func May(r *http.Request, status int, h http.Header) bool {
	if r.ContentLength != 0 {
		return false
	}
	d := httpcache.ResponseDirectives(h)
	forAll := d.Has("public") || d.Has("s-maxage")
	must := d.Has("must-understand")
	_, matchable := varies(h)
	switch {
	case r.Method != http.MethodGet && r.Method != "",
		httpcache.ParseDirectives(r.Header.Values("Cache-Control")).Has("no-store"),
		status < 200, status == 206, status == 304, status == 412, status == 416,
		d.Has("no-store") && !must,
		d.Unqualified("no-cache"),
		must && !understood(status),
		d.Unqualified("private"),
		r.Header.Values("Authorization") != nil && !forAll && !d.Has("must-revalidate"),
		setsCookie(h, d),
		!matchable:
		return false
	}
	return forAll || d.Has("max-age") || h.Values("Expires") != nil && !d.Targeted() ||
		httpcache.HeuristicallyCacheable(status)
}
