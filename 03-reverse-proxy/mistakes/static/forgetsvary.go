//go:build ignore

// It sets Vary only on what is in a coding. But the file as it is is one of the
// variants, too: a cache that keeps it without Vary gives it to everybody, and
// nobody gets a short one any more.
//
//workshop:caught-by TestVariant/named_in_vary_by_each_of_them
//workshop:says that holds for the one without a coding, too
package static

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	offers := make([]string, len(f.variants))
	for i, v := range f.variants {
		offers[i] = v.coding
	}
	chosen, _ := acceptencoding.Choose(r.Header["Accept-Encoding"], offers)
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	for _, v := range f.variants {
		if v.coding == chosen {
			if chosen != acceptencoding.Identity {
				h.Set("Content-Encoding", chosen)
				h.Set("Vary", "Accept-Encoding")
			}
			h.Set("Etag", v.tag)
			send(w, r, v.content)
			return
		}
	}
}
