//go:build ignore

// It takes every Body that is not nil for one that has to be there once more.
// But net/http also says by http.NoBody that there is none: a PUT without a body,
// or a GET, that a server has received is then never sent again.
//
//workshop:caught-by TestMay/a_body_that_is_there_once_more
//workshop:says that is how net/http says that there is no body
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
	return req.Body == nil || req.GetBody != nil
}
