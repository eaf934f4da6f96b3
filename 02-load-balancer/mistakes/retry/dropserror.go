//go:build ignore

// It drops the error of GetBody. The next backend then gets a request whose
// header is that of an order, and whose body is missing.
//
//workshop:caught-by TestRoundTrip/stops_when_there_is_no_new_body
//workshop:says without its body the order must go nowhere
package retry

import (
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
			req = req.WithContext(req.Context())
			req.Body, _ = req.GetBody()
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
	}
}
