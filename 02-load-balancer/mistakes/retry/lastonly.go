//go:build ignore

// It tells Pick only which backend failed last, so that the third attempt may go
// to the first backend again. Two dead backends among many are then enough to
// use up all attempts.
//
//workshop:caught-by TestRoundTrip/asks_none_twice_while_there_is_another
//workshop:says backends a, b and c fail, d is there
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
		b := t.pick(req, tried[max(0, len(tried)-1):])
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
			req = req.WithContext(req.Context())
			req.Body = body
		}
	}
}
