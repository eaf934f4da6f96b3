//go:build ignore

// It lets public stand above private. But whoever sends both has two programs that
// write one header, and one of them knows that this is for one reader. Who believes
// the other one shows it to all.
//
//workshop:caught-by TestMay/keeps_nothing_private
//workshop:says the stricter one holds
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
		must && !understood(status),
		d.Unqualified("private") && !d.Has("public"),
		r.Header.Values("Authorization") != nil && !forAll && !d.Has("must-revalidate"),
		setsCookie(h, d),
		!matchable:
		return false
	}
	return forAll || d.Has("max-age") || h.Values("Expires") != nil && !d.Targeted() ||
		httpcache.HeuristicallyCacheable(status)
}
