//go:build ignore

// It leaves Content-Length as it is. That was the length before: the client waits
// for bytes that never come, and in the end takes the answer for a broken one.
//
//workshop:caught-by TestHeader/has_no_content_length_any_more
//workshop:says the length before it was compressed
package compress

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

func label(h http.Header, name string) {
	addVary(h)
	if name == acceptencoding.Identity {
		return
	}
	h.Set("Content-Encoding", name)
	if tag := h.Get("Etag"); tag != "" {
		h.Set("Etag", suffixed(tag, name))
	}
}
