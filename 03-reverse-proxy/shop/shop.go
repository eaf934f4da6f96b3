// Package shop is the shop's page: the menu, with "Buy now" beside each dish. It
// is a handful of files, and the edge has them with it, so that no kitchen is
// asked for them. What is on the menu, and what becomes of a click, the page asks
// of GET /menu and POST /orders.
package shop

import (
	"embed"
	"io/fs"
	"net/http"

	"clicktocode.example/03-reverse-proxy/solution/static"
)

//go:embed page
var files embed.FS

// New returns the page's handler: "/" and what lies under /assets/.
//
// The page runs its own script and nobody else's: an injected one is not
// executed, and no other site may put the page into a frame and let it be clicked
// there (Content Security Policy, level 3).
func New() (http.Handler, error) {
	page, err := fs.Sub(files, "page")
	if err != nil {
		return nil, err
	}
	site, err := static.New(page)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("Referrer-Policy", "same-origin")
		site.ServeHTTP(w, r)
	}), nil
}
