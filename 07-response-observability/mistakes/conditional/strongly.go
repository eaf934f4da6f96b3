//go:build ignore

// It compares strongly in If-None-Match, too. An edge that compresses makes tags weak,
// as nginx does, and then nobody behind it ever gets a 304.
//
//workshop:caught-by TestIfNoneMatch/a_weak_one_is_as_good
//workshop:says If-None-Match compares weakly
package conditional

import "net/http"

func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
	if lines := r.Header["If-Match"]; len(lines) > 0 {
		if find(lines, tags, func(listed string) string { return bare(listed, codings) }) == "" {
			return http.StatusPreconditionFailed, ""
		}
	}
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		switch found := find(lines, tags, func(listed string) string { return bare(listed, accepted(r)) }); {
		case found == "":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			return http.StatusNotModified, found
		default:
			return http.StatusPreconditionFailed, ""
		}
	}
	return 0, ""
}
