//go:build ignore

// It takes a lifetime for a permission. max-age says how long an answer is good, and
// not for whom: the answer to one who signed in would be shown to all for a minute.
//
//workshop:caught-by TestMay/keeps_no_answer_to_Authorization
//workshop:says one whom the origin knows
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
		r.Header.Values("Authorization") != nil && !forAll && !d.Has("must-revalidate") && !d.Has("max-age"),
		setsCookie(h, d),
		!matchable:
		return false
	}
	return forAll || d.Has("max-age") || h.Values("Expires") != nil && !d.Targeted() ||
		httpcache.HeuristicallyCacheable(status)
}
