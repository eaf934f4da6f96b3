//go:build ignore

// It sends the ETag alone. But the client's copy is renewed by what stands in a 304:
// without Cache-Control and Vary, it does not know for how long, and for whom.
//
//workshop:caught-by TestNotModified/has_what_the_copy_takes_over
//workshop:says A 304 has it, too
package conditional

import "net/http"

func NotModified(w http.ResponseWriter) {
	for name := range w.Header() {
		if name != "Etag" {
			w.Header().Del(name)
		}
	}
	w.WriteHeader(http.StatusNotModified)
}
