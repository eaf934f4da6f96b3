//go:build ignore

// It compares tags letter by letter. If a client or something on the way has a weak tag
// for the same version, or the other way round, the whole content is sent again, though
// what the client has means the same.
//
//workshop:caught-by TestNotModified/a_weak_ETag_is_as_good
//workshop:says W/ makes no difference
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
			if tag == etag {
				return true
			}
		}
		return false
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
