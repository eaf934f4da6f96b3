//go:build ignore

// It asks the budget first, and then whether the request may be sent again at all.
// Asking costs: requests that are never retried use up the budget, and those that
// could be find it empty.
//
//workshop:caught-by TestRoundTrip/pays_only_for_retries_that_take_place
//workshop:says unless the five asked for it in vain
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
		if !t.budget.Retry() ||
			len(tried) >= t.attempts ||
			req.Context().Err() != nil ||
			!May(req, sent()) {
			return nil, err
		}
		if req.GetBody != nil {
			body, failure := req.GetBody()
			if failure != nil {
				return nil, errors.Join(err, failure)
			}
			req = req.WithContext(req.Context())
			req.Body = body
		}
	}
}
