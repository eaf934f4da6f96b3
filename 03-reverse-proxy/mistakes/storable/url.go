//go:build ignore

// It has one key for all requests. Whoever asks first decides the language for all who
// come after, for as long as the answer is fresh.
//
//workshop:caught-by TestKey/tells_two_languages_apart
//workshop:says on the language that was asked for
package storable

import "net/http"

func Key(vary http.Header, r *http.Request) string {
	return r.URL.String()
}
