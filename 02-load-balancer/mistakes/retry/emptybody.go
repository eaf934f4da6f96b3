//go:build ignore

// It sends the same body with each attempt. A body is a stream: the first attempt
// read it to its end, or closed it, and the second backend gets a request whose
// Content-Length promises what never comes.
//
//workshop:caught-by TestRoundTrip/sends_the_whole_body_again
//workshop:says A body can be used once
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
