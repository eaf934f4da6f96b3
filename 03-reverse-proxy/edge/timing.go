package edge

import (
	"net/http"
	"strings"
)

// told is h, a cache, with what came of it said in Server-Timing, too, where
// `click` and a browser's developer tools show it: `cache;desc="hit"`.
func told(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&telling{ResponseWriter: w}, r) })
}

type telling struct {
	http.ResponseWriter
	told bool
}

func (t *telling) WriteHeader(status int) {
	if status >= 200 && !t.told {
		t.told = true
		h := t.Header()
		// The last member of the list is this cache's (RFC 9211 §2): "edge1; hit; ttl=29".
		if status := h["Cache-Status"]; len(status) > 0 {
			parameters := strings.Split(status[len(status)-1], ";")
			if len(parameters) > 1 {
				h["Server-Timing"] = append(h["Server-Timing"], `cache;desc="`+strings.TrimSpace(parameters[1])+`"`)
			}
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *telling) Write(p []byte) (int, error) {
	if !t.told {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *telling) Unwrap() http.ResponseWriter { return t.ResponseWriter }
