//go:build ignore

// It adds the cache's question to the client's. Asked for "6" or "7", the origin says
// 304 if either still holds: about "6", which the client has, it is of no use to the
// cache, and whoever asked for nothing of the kind gets an answer without content.
//
//workshop:caught-by TestAsk/replaces_the_condition_of_the_client
//workshop:says its 304 would say nothing about what is stored
package revalidate

import (
	"net/http"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Ask(r *http.Request, stored *httpcache.Response) *http.Request {
	out := r.Clone(r.Context())
	for _, name := range []string{"If-Match", "If-Unmodified-Since", "If-Range", "Range"} {
		out.Header.Del(name)
	}
	if etag := stored.Header.Get("ETag"); isTag(etag) {
		out.Header.Add("If-None-Match", etag)
	}
	if date := stored.Header.Get("Last-Modified"); date != "" {
		out.Header.Set("If-Modified-Since", date)
	}
	return out
}
