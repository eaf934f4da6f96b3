//go:build ignore

// It leaves the ETag as it is. Two different rows of bytes then have the same
// strong tag, and whoever resumes a download by it gets the first half of one and
// the second half of the other.
//
//workshop:caught-by TestHeader/has_an_etag_of_its_own
//workshop:says a strong tag stands for bytes
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
}
