//go:build ignore

// It sets the fields about content to nothing, and does not delete them. They are sent
// all the same: "Content-Type:", with nothing behind it, and the client's copy has no
// type from then on.
//
//workshop:caught-by TestNotModified/says_nothing_of_content
//workshop:says an empty one, too: Header.Del
package conditional

import "net/http"

func NotModified(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range"} {
		w.Header().Set(name, "")
	}
	w.WriteHeader(http.StatusNotModified)
}
