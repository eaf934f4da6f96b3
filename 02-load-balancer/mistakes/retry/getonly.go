//go:build ignore

// It takes GET and HEAD alone for harmless. Those are the safe methods, which ask
// for nothing to be changed. PUT and DELETE change something, and still come to
// the same when they are done twice: that is what idempotent means.
//
//workshop:caught-by TestMay/a_method_that_is_idempotent
//workshop:says A proxy must not repeat a request unless its method is idempotent
package retry

import "net/http"

func May(req *http.Request, sent bool) bool {
	if !sent {
		return true
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			return false
		}
	}
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}
