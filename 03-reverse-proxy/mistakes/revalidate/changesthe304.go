//go:build ignore

// It takes what the result shall not have out of the 304's header itself. That header is
// the caller's, who still sends it on, or writes it to a log, and finds a 304 in which
// fields are missing that came.
//
//workshop:caught-by TestFreshen/does_not_change_the_header_of_the_304
//workshop:says delete from the result
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
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range"} {
		h.Del(name)
	}
	fresh := http.Header{}
	hopbyhop.Copy(fresh, h)
	if fresh.Get("Date") == "" {
		fresh.Set("Date", received.UTC().Format(http.TimeFormat))
	}
	_, aged := fresh["Age"]
	hopbyhop.Copy(fresh, stored.Header)
	if !aged {
		fresh.Del("Age")
	}
	return &httpcache.Response{Status: stored.Status, Header: fresh, Requested: requested, Received: received, Body: stored.Body}
}
