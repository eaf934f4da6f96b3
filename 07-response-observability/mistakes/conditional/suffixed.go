//go:build ignore

// It compares tags as they come. But an edge has appended the coding to them, and from
// there on no tag is the same as any of ours: each answer is sent anew, and no change
// is ever let through.
//
//workshop:caught-by TestSuffix/what_was_seen_in_gzip_was_seen
//workshop:says bare takes the suffix off
package conditional

import (
	"net/http"
	"strings"
)

func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if find(lines, tags, func(listed string) string { return listed }) == "" {
			return http.StatusPreconditionFailed, ""
		}
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		switch found := find(lines, tags, func(listed string) string { return strings.TrimPrefix(listed, "W/") }); {
		case found == "":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			return http.StatusNotModified, found
		default:
			return http.StatusPreconditionFailed, ""
		}
	}
	return 0, ""
}
