//go:build ignore

// It takes the wait, and does not look at ok. Where the provider wants to be left alone
// for an hour, Wait says no, beside a wait of nothing: so the next attempt comes at
// once, to the one who has asked for quiet.
//
//workshop:caught-by TestRoundTrip/does_not_come_back_earlier_than_told
//workshop:says Wait says no
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
		wait, _ := t.Wait(n, resp)
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= wait {
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
