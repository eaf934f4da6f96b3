//go:build ignore

// When no tag of the client's fits, it goes on to the date. Dates have whole seconds: of
// two versions in the same second, the client that has the first is told that it has the
// second, until the page changes again.
//
//workshop:caught-by TestNotModified/the_ETag_counts_alone
//workshop:says two versions may be of the same second
package revalidate

import (
	"net/http"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func NotModified(r *http.Request, stored *httpcache.Response) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || stored.Status/100 != 2 {
		return false
	}
	if lines := r.Header.Values("If-None-Match"); len(lines) > 0 {
		list, etag := strings.Join(lines, ","), stored.Header.Get("ETag")
		if strings.TrimSpace(list) == "*" {
			return true
		}
		for tag, rest := cutTag(list); tag != ""; tag, rest = cutTag(rest) {
			if opaque(tag) == opaque(etag) {
				return true
			}
		}
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(stored.Header.Get("Last-Modified"))
	if err != nil {
		modified, err = http.ParseTime(stored.Header.Get("Date"))
	}
	if err != nil {
		modified = stored.Received.Truncate(time.Second)
	}
	return !modified.After(since)
}
