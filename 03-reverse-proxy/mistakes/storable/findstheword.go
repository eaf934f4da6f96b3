//go:build ignore

// It looks for the word no-store in the request's Cache-Control. That misses it in
// capitals and on a second line, where it holds as well, and finds it in the quoted
// value of another directive, where it means nothing.
//
//workshop:caught-by TestMay/keeps_nothing_whose_request_says_no-store
//workshop:says the request does not say no-store
package storable

import (
	"net/http"
	"strings"

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
		strings.Contains(r.Header.Get("Cache-Control"), "no-store"),
		status < 200, status == 206, status == 304, status == 412, status == 416,
		d.Has("no-store") && !must,
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
