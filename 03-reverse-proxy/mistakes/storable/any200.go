//go:build ignore

// It keeps every 200 that does not say no-store. private is for one reader, too, and
// an answer to Authorization is, and one that sets a session's cookie: this cache
// would show one customer's orders to the next.
//
//workshop:caught-by TestMay/keeps_nothing_private
//workshop:says it is for the one who asked
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
	if r.Method != http.MethodGet && r.Method != "" || d.Has("no-store") ||
		httpcache.ParseDirectives(r.Header.Values("Cache-Control")).Has("no-store") {
		return false
	}
	return status == http.StatusOK
}
