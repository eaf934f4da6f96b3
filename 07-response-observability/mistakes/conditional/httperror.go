//go:build ignore

// It answers by http.Error, which writes a text. A 304 has no content: it ends behind
// its header, and a client takes the text for the beginning of the next answer.
//
//workshop:caught-by TestNotModified/has_no_content
//workshop:says the content of a 304
package conditional

import "net/http"

func NotModified(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range"} {
		w.Header().Del(name)
	}
	http.Error(w, http.StatusText(http.StatusNotModified), http.StatusNotModified)
}
