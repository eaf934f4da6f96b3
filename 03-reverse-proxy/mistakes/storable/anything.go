//go:build ignore

// It keeps whatever nothing speaks against. That is right for a 200 or a 404. But a
// 302 to the login page, or a 503 of a bad minute, is kept only where it says so.
//
//workshop:caught-by TestMay/needs_a_reason_to_keep_it
//workshop:says only if something in it says so
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
		d.Unqualified("private"),
		r.Header.Values("Authorization") != nil && !forAll && !d.Has("must-revalidate"),
		setsCookie(h, d),
		!matchable:
		return false
	}
	return true
}
