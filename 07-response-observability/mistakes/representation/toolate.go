//go:build ignore

// It answers 406 to a POST as well. But the order is placed by then, and paid. Who
// reads 406 believes that nothing was done, and orders once more.
//
//workshop:caught-by TestNegotiate/answers_what_is_done_in_any_form_rather_than_none
//workshop:says Who gets a 406 believes that it was not
package representation

import "net/http"

func Negotiate(w http.ResponseWriter, r *http.Request) (mediaType string, ok bool) {
	w.Header().Add("Vary", "Accept")
	if mediaType, ok = Choose(r.Header["Accept"], Forms()); ok {
		return mediaType, true
	}
	refuse(w, r)
	return "", false
}
