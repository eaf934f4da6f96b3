//go:build ignore

// It asks whether anything was sent before it sends. By then nothing was, so the
// answer is always no, and whatever failed is sent again: an order that was taken,
// and whose answer got lost, is cooked twice.
//
//workshop:caught-by TestRoundTrip/repeats_no_POST_that_was_sent
//workshop:says Call sent when Send has returned
package retry

import (
	"errors"
	"fmt"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

func (t *Transport) try(req *http.Request) (*http.Response, error) {
	t.budget.Request()
	err := balancer.ErrNoBackend
	var tried []*balancer.Backend
	for {
		b := t.pick(req, tried)
		if b == nil {
			return nil, err
		}
		if len(tried) > 0 && req.GetBody != nil {
			body, failure := req.GetBody()
			if failure != nil {
				return nil, errors.Join(err, failure)
			}
			req = req.WithContext(req.Context())
			req.Body = body
		}
		tried = append(tried, b)
		out, sent := attempt(req)
		again := May(req, sent())
		resp, failure := t.send(out, b)
		if failure == nil {
			return resp, nil
		}
		err = fmt.Errorf("retry: attempt %d, at %s: %w", len(tried), b.Name(), failure)
		if len(tried) >= t.attempts ||
			req.Context().Err() != nil ||
			!again ||
			!t.budget.Retry() {
			return nil, err
		}
	}
}
