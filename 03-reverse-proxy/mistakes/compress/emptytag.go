//go:build ignore

// It changes the ETag, and does not ask whether there is one. So each answer without an ETag
// gets an empty one. Caches and clients that compare tags as text find that all pages
// have the same.
//
//workshop:caught-by TestHeader/has_an_etag_of_its_own
//workshop:says no empty one either
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
	for _, field := range ofBytes {
		h.Del(field)
	}
	h.Set("Etag", suffixed(h.Get("Etag"), name))
}
