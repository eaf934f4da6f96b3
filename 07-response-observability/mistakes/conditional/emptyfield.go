//go:build ignore

// It takes a field in which nothing stands for none. The client has asked for a change
// on a condition, and lists no version that it has seen: that is not to say that any
// version will do.
//
//workshop:caught-by TestIfMatch/a_list_of_nothing_names_nothing
//workshop:says there is a condition, and none of what it lists is there
package conditional

import (
	"net/http"
	"strings"
)

func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
	if r.Header.Get("If-Match") != "" {
		strong := func(listed string) string { return bare(listed, codings) }
		if find(r.Header["If-Match"], tags, strong) == "" {
			return http.StatusPreconditionFailed, ""
		}
	}
	if r.Header.Get("If-None-Match") != "" {
		weak := func(listed string) string { return bare(strings.TrimPrefix(listed, "W/"), accepted(r)) }
		switch found := find(r.Header["If-None-Match"], tags, weak); {
		case found == "":
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			return http.StatusNotModified, found
		default:
			return http.StatusPreconditionFailed, ""
		}
	}
	return 0, ""
}
