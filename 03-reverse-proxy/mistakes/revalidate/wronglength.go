//go:build ignore

// It takes all fields of the 304. But a 304 has no content, and some servers say so,
// by Content-Length: 0. With that, the stored content is sent behind a header that
// says that there is none.
//
//workshop:caught-by TestFreshen/keeps_the_length_of_what_is_stored
//workshop:says the stored bytes are as many as before
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
	if fresh.Get("Date") == "" {
		fresh.Set("Date", received.UTC().Format(http.TimeFormat))
	}
	hopbyhop.Copy(fresh, stored.Header)
	if h.Get("Age") == "" {
		fresh.Del("Age")
	}
	return &httpcache.Response{Status: stored.Status, Header: fresh, Requested: requested, Received: received, Body: stored.Body}
}
