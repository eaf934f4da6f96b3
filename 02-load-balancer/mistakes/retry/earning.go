//go:build ignore

// It notes each attempt in the budget as a request. Retries then earn the right to
// further retries, and the bound is no longer the one that was agreed.
//
//workshop:caught-by TestRoundTrip/stops_when_the_budget_is_used_up
//workshop:says Budget.Request is called once for each request
package retry

import (
	"errors"
	"fmt"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

func (t *Transport) try(req *http.Request) (*http.Response, error) {
	err := balancer.ErrNoBackend
	var tried []*balancer.Backend
	for {
		b := t.pick(req, tried)
		if b == nil {
			return nil, err
		}
		t.budget.Request()
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
			req = req.WithContext(req.Context())
			req.Body = body
		}
	}
}
