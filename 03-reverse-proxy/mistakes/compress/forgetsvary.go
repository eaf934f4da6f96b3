//go:build ignore

// It sets Vary where it compresses, and only there. But the page as it is, too,
// is one of several: a cache that keeps it under the URL alone gives it to
// everybody, and nobody gets it compressed any more.
//
//workshop:caught-by TestHeader/says_so_when_it_is_not_compressed_too
//workshop:says Vary of a page that was not compressed
package compress

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

func label(h http.Header, name string) {
	if name == acceptencoding.Identity {
		return
	}
	addVary(h)
	h.Set("Content-Encoding", name)
	for _, field := range ofBytes {
		h.Del(field)
	}
	if tag := h.Get("Etag"); tag != "" {
		h.Set("Etag", suffixed(tag, name))
	}
}
