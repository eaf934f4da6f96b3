//go:build ignore

// It takes the key for permission, and asks no further. By the key, a repetition
// does no harm. But the first attempt has read the body: the second backend gets
// the order's header, and nothing under it.
//
//workshop:caught-by TestMay/a_body_that_is_there_once_more
//workshop:says The other is its body
package retry

import "net/http"

func May(req *http.Request, sent bool) bool {
	if !sent || req.Header.Get("Idempotency-Key") != "" {
		return true
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		return false
	}
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}
