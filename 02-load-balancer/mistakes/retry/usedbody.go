//go:build ignore

// It looks at the method and the key, and not at the body. The failed attempt has
// read the body, all or half of it, and what is left is sent as if it were the
// whole request.
//
//workshop:caught-by TestMay/a_body_that_is_there_once_more
//workshop:says only GetBody can begin it anew
package retry

import "net/http"

func May(req *http.Request, sent bool) bool {
	if !sent {
		return true
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			return false
		}
	}
	return true
}
