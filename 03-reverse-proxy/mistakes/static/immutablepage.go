//go:build ignore

// It lets everything be kept for a year, the page included. But the page has the
// same name tomorrow: whoever was here once never sees a new one, and nothing that
// the server does can change that any more.
//
//workshop:caught-by TestCaching/asks_for_the_page_each_time
//workshop:says The page has the same name tomorrow
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
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
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
