//go:build ignore

// It puts the new body into the caller's request. Whoever made the request still
// has it in use, perhaps for a log, perhaps for a try of its own, and an
// http.RoundTripper promises to leave it alone.
//
//workshop:caught-by TestRoundTrip/does_not_change_the_request
//workshop:says must be as it was
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
		tried = append(tried, b)
		out, sent := attempt(req)
		resp, failure := t.send(out, b)
		if failure == nil {
			return resp, nil
		}
		err = fmt.Errorf("retry: attempt %d, at %s: %w", len(tried), b.Name(), failure)
		if len(tried) >= t.attempts ||
			req.Context().Err() != nil ||
			!May(req, sent()) ||
			!t.budget.Retry() {
			return nil, err
		}
		if req.GetBody != nil {
			body, failure := req.GetBody()
			if failure != nil {
				return nil, errors.Join(err, failure)
			}
			req.Body = body
		}
	}
}
