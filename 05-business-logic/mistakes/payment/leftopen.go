//go:build ignore

// It drops the answers that it does not return. The connection of a body that was
// neither read to its end nor closed cannot be used again, and stays open: under
// load, each retry costs a connection more.
//
//workshop:caught-by TestRoundTrip/gives_connections_back
//workshop:says each retry leaves a connection open
package payment

import (
	"fmt"
	"net/http"
	"time"
)

func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	for n := 1; ; n++ {
		out, sent := attempt(req)
		resp, err := t.c.Base.RoundTrip(out)
		if n >= t.c.Attempts || ctx.Err() != nil || !Worth(resp, err) || !May(req, sent()) {
			return resp, err
		}
		wait, ok := t.Wait(n, resp)
		if deadline, has := ctx.Deadline(); !ok || has && time.Until(deadline) <= wait {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("payment: after attempt %d: %w", n, ctx.Err())
		case <-time.After(wait):
		}
		if req, err = anew(req); err != nil {
			return nil, err
		}
	}
}
