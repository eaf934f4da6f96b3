//go:build ignore

// It waits, though the caller's deadline will be over before the wait is. The
// caller gets nothing but the word that time is up, and later than need be: what
// the provider has answered is thrown away.
//
//workshop:caught-by TestRoundTrip/does_not_wait_beyond_the_deadline
//workshop:says to wait for a deadline is to have nobody left to tell
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
		if !ok {
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
