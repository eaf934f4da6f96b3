//go:build ignore

// It sends the 304 with all that the 200 would have. Its Content-Length counts what is
// not there, and a cache takes that for the length of its copy.
//
//workshop:caught-by TestNotModified/says_nothing_of_content
//workshop:says a cache would take it for news of its copy
package conditional

import "net/http"

func NotModified(w http.ResponseWriter) { w.WriteHeader(http.StatusNotModified) }
