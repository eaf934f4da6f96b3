//go:build ignore

// It copies the request by *r. The copy has the same header then, since a map is only
// pointed at: the client's own conditions are gone from its own request, and nobody
// can tell any more whether it is to get a 304.
//
//workshop:caught-by TestAsk/does_not_change_the_request
//workshop:says a map is shared
package revalidate

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Ask(r *http.Request, stored *httpcache.Response) *http.Request {
	out := *r
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"} {
		out.Header.Del(name)
	}
	if etag := stored.Header.Get("ETag"); isTag(etag) {
		out.Header.Set("If-None-Match", etag)
	}
	if date := stored.Header.Get("Last-Modified"); date != "" {
		out.Header.Set("If-Modified-Since", date)
	}
	return &out
}
