//go:build ignore

// It compares weakly in If-Match, too. A weak tag says that the client has seen
// something much like it. The part that differs is the one that it overwrites.
//
//workshop:caught-by TestIfMatch/a_weak_one_is_not_enough
//workshop:says If-Match compares strongly
package conditional

import (
	"net/http"
	"strings"
)

func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if find(lines, tags, func(listed string) string { return bare(strings.TrimPrefix(listed, "W/"), codings) }) == "" {
			return http.StatusPreconditionFailed, ""
		}
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		weak := func(listed string) string { return bare(strings.TrimPrefix(listed, "W/"), accepted(r)) }
		switch found := find(lines, tags, weak); {
		case found == "":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			return http.StatusNotModified, found
		default:
			return http.StatusPreconditionFailed, ""
		}
	}
	return 0, ""
}
