//go:build ignore

// It does not tell Pick which backends have failed. The one that was best before
// is often best now, most of all when it refuses each request at once and so has
// nothing to do: all attempts go to the same dead backend.
//
//workshop:caught-by TestRoundTrip/goes_elsewhere_after_a_dial_that_failed
//workshop:says GET must go there
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
		b := t.pick(req, nil)
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
