//go:build ignore

// It splits the list at each comma, also at one that stands between the quotes of a
// tag. No half of such a tag is like the stored one, so clients get content that they
// have already.
//
//workshop:caught-by TestNotModified/a_comma_may_be_part_of_an_ETag
//workshop:says a comma and W/ too
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
		for tag := range strings.SplitSeq(list, ",") {
			if tag = strings.TrimSpace(tag); !isTag(tag) && tag != "" {
				return false
			}
			if isTag(tag) && opaque(tag) == opaque(etag) {
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
