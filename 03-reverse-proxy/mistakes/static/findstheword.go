//go:build ignore

// It looks for the word gzip in Accept-Encoding. In "gzip;q=0" it is there, too, and
// means the opposite.
//
//workshop:caught-by TestVariant/as_it_is_for_who_can_decode_nothing
//workshop:says Accept-Encoding: gzip;q=0
package static

import (
	"net/http"
	"strings"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	v := f.variants[len(f.variants)-1]
	for _, other := range f.variants {
		if strings.Contains(r.Header.Get("Accept-Encoding"), other.coding) {
			v = other
			break
		}
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if len(f.variants) > 1 {
		h.Set("Vary", "Accept-Encoding")
	}
	if v.coding != acceptencoding.Identity {
		h.Set("Content-Encoding", v.coding)
	}
	h.Set("Etag", v.tag)
	send(w, r, v.content)
}
