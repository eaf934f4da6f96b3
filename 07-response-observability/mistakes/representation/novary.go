//go:build ignore

// It does not say that it has looked at Accept. A cache in front then gives the XML
// that one client has asked for to all others, too.
//
//workshop:caught-by TestNegotiate/says_that_the_answer_depends_on_Accept
//workshop:says and must name Accept. Without it
package representation

import "net/http"

func Negotiate(w http.ResponseWriter, r *http.Request) (mediaType string, ok bool) {
	if mediaType, ok = Choose(r.Header["Accept"], Forms()); ok {
		return mediaType, true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Forms()[0], true
	}
	refuse(w, r)
	return "", false
}
