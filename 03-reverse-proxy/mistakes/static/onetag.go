//go:build ignore

// It gives all variants of a file the same tag. They are different bytes: whoever
// got half of one, and asks for the rest by that tag, is sent the rest of another.
//
//workshop:caught-by TestTag/is_another_one_for_each_coding
//workshop:says a strong tag stands for bytes
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
	h.Set("Etag", f.variants[len(f.variants)-1].tag)
	if len(f.variants) > 1 {
		h.Set("Vary", "Accept-Encoding")
	}
	for _, v := range f.variants {
		if v.coding == chosen {
			if chosen != acceptencoding.Identity {
				h.Set("Content-Encoding", chosen)
			}
			send(w, r, v.content)
			return
		}
	}
}
