//go:build ignore

// It writes the time received as its zone has it. http.TimeFormat puts GMT behind any time,
// so on a server in Berlin the Date is an hour ahead, and on one in New York five hours
// old: there the copy is stale as soon as it is confirmed.
//
//workshop:caught-by TestFreshen/has_a_date_that_is_no_older
//workshop:says a date in a header is in GMT
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
		fresh.Set("Date", received.Format(http.TimeFormat))
	}
	_, aged := fresh["Age"]
	hopbyhop.Copy(fresh, stored.Header)
	if !aged {
		fresh.Del("Age")
	}
	return &httpcache.Response{Status: stored.Status, Header: fresh, Requested: requested, Received: received, Body: stored.Body}
}
