//go:build ignore

// It looks at If-None-Match first. But whoever sends both says by If-Match what the
// answer may be about at all, so that comes first.
//
//workshop:caught-by TestBoth/If-Match_comes_first
//workshop:says step 1
package conditional

import (
	"net/http"
	"strings"
)

func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
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
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if find(lines, tags, func(listed string) string { return bare(listed, codings) }) == "" {
			return http.StatusPreconditionFailed, ""
		}
	}
	return 0, ""
}
