//go:build ignore

// It compares the tags only where both have one. A stored response without a tag then
// takes any 304 of the same date: with the tag of the version that the origin has now, and
// the content of the one before, made in the same second.
//
//workshop:caught-by TestFreshen/refuses_an_ETag_where_none_is_stored
//workshop:says nobody said
package revalidate

import (
	"net/http"
	"strings"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func isAbout(stored *httpcache.Response, h http.Header) bool {
	etag, date := h.Get("ETag"), h.Get("Last-Modified")
	switch was := stored.Header.Get("ETag"); {
	case strings.HasPrefix(etag, "W/"):
		return opaque(etag) == opaque(was)
	case etag != "" && was != "":
		return etag == was
	case date != "":
		return date == stored.Header.Get("Last-Modified")
	}
	return true
}
