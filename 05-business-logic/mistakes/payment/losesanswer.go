//go:build ignore

// It finds out that the caller has left only when it begins to wait. By then the answer
// is discarded, and instead of what the provider has said there is an error that says
// nothing of it.
//
//workshop:caught-by TestRoundTrip/makes_no_attempt_for_one_who_has_left
//workshop:says Ask ctx.Err() before you begin to wait
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
		if n >= t.c.Attempts || !Worth(resp, err) || !May(req, sent()) {
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
		if req, err = anew(req); err != nil {
			return nil, err
		}
	}
}
