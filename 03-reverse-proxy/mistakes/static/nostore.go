//go:build ignore

// It sets on the page all that is known to keep caches off it. But no-store says
// more than "ask each time": nobody may keep it at all. So nobody has anything to
// ask about, and each visit fetches the whole page.
//
//workshop:caught-by TestCaching/asks_for_the_page_each_time
//workshop:says wanted is no-cache and no more
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
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if len(f.variants) > 1 {
		h.Set("Vary", "Accept-Encoding")
	}
	for _, v := range f.variants {
		if v.coding == chosen {
			if chosen != acceptencoding.Identity {
				h.Set("Content-Encoding", chosen)
			}
			h.Set("Etag", v.tag)
			send(w, r, v.content)
			return
		}
	}
}
