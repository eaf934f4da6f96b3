//go:build ignore

// It writes the new fields into the stored response. Others are reading that header at
// this moment: at best they send half of the old one and half of the new one, at worst
// the program dies, as a map must not be read and written at once.
//
//workshop:caught-by TestFreshen/does_not_change_the_stored_one
//workshop:says make another
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
	stored.Header.Del("Age")
	for name, values := range fresh {
		stored.Header[name] = values
	}
	stored.Requested, stored.Received = requested, received
	return stored
}
