//go:build ignore

// It takes the three fields away when the two headers are merged already, so those of the
// stored response are lost, too. A stored page in gzip then has nothing that says so, and
// the browser shows what looks like noise.
//
//workshop:caught-by TestFreshen/keeps_how_the_stored_bytes_are_coded
//workshop:says nobody can read them
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
	length := stored.Header.Get("Content-Length")
	if fresh.Get("Date") == "" {
		fresh.Set("Date", received.UTC().Format(http.TimeFormat))
	}
	_, aged := fresh["Age"]
	hopbyhop.Copy(fresh, stored.Header)
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range"} {
		fresh.Del(name)
	}
	if length != "" {
		fresh.Set("Content-Length", length)
	}
	if !aged {
		fresh.Del("Age")
	}
	return &httpcache.Response{Status: stored.Status, Header: fresh, Requested: requested, Received: received, Body: stored.Body}
}
