//go:build ignore

// It sends the same request again, body included. But a body is a stream that can
// be read once: the first attempt got all of it, and the next ones get nothing, or
// the rest.
//
//workshop:caught-by TestRoundTrip/sends_the_whole_body_each_time
//workshop:says each further one needs a new one
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
		discard(resp)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("payment: after attempt %d: %w", n, ctx.Err())
		case <-time.After(wait):
		}
	}
}
