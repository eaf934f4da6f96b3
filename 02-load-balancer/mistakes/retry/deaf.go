//go:build ignore

// It goes on when the client has left. Each backend is asked in turn for an answer
// that nobody waits for, and impatient clients, who leave and come again, are many
// just when the backends are slow.
//
//workshop:caught-by TestRoundTrip/stops_when_the_client_has_left
//workshop:says nobody waits for an answer
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
