//go:build ignore

// It merges the two headers, and nothing more. If the first answer came by way of
// another cache and the 304 did not, the old Age stays, and what has just been confirmed
// counts as stale: each request asks the origin again.
//
//workshop:caught-by TestFreshen/is_no_older_than_the_304
//workshop:says With the old Age
package revalidate

import (
	"net/http"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/hopbyhop"
)

func Freshen(stored *httpcache.Response, h http.Header, requested, received time.Time) *httpcache.Response {
	if !isAbout(stored, h) {
		return nil
	}
	fresh := http.Header{}
	hopbyhop.Copy(fresh, h)
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range"} {
		fresh.Del(name)
	}
	if fresh.Get("Date") == "" {
		fresh.Set("Date", received.UTC().Format(http.TimeFormat))
	}
	hopbyhop.Copy(fresh, stored.Header)
	return &httpcache.Response{Status: stored.Status, Header: fresh, Requested: requested, Received: received, Body: stored.Body}
}
