//go:build ignore

// It sets Vary, and what stood there is gone. cors had put Origin there: now a cache
// gives one site's permission to another.
//
//workshop:caught-by TestNegotiate/keeps_what_Vary_has_named
//workshop:says Header.Set takes it away
package representation

import "net/http"

func Negotiate(w http.ResponseWriter, r *http.Request) (mediaType string, ok bool) {
	w.Header().Set("Vary", "Accept")
	if mediaType, ok = Choose(r.Header["Accept"], Forms()); ok {
		return mediaType, true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Forms()[0], true
	}
	refuse(w, r)
	return "", false
}
