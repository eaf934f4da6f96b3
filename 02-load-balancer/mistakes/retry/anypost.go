//go:build ignore

// It repeats whatever has a body to repeat. But no answer does not mean that
// nothing happened: an order that was taken, and whose answer got lost, is cooked
// and charged a second time.
//
//workshop:caught-by TestMay/anything_that_was_not_sent
//workshop:says it must not be sent again
package retry

import "net/http"

func May(req *http.Request, sent bool) bool {
	return !sent || req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}
