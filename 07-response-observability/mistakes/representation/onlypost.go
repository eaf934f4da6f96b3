//go:build ignore

// It spares a POST the 406, and no other method. But a DELETE has called the order off by
// then, and a PUT or PATCH has changed it: only GET and HEAD have done nothing yet.
//
//workshop:caught-by TestNegotiate/answers_what_is_done_in_any_form_rather_than_none
//workshop:says PUT with Accept: text/html: the status
package representation

import "net/http"

func Negotiate(w http.ResponseWriter, r *http.Request) (mediaType string, ok bool) {
	w.Header().Add("Vary", "Accept")
	if mediaType, ok = Choose(r.Header["Accept"], Forms()); ok {
		return mediaType, true
	}
	if r.Method == http.MethodPost {
		return Forms()[0], true
	}
	refuse(w, r)
	return "", false
}
