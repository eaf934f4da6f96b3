//go:build ignore

// It repeats no POST without a key, also when the backend could not even be
// reached. That is safe, and loses orders for nothing: whenever a backend
// restarts, its clients get errors, though another one is free and nothing was sent.
//
//workshop:caught-by TestMay/anything_that_was_not_sent
//workshop:says not a byte was sent
package retry

import "net/http"

func May(req *http.Request, sent bool) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			return false
		}
	}
	return !sent || req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}
