//go:build ignore

// It discards the answer after the wait. Until then, its connection serves nobody; and
// when the wait is cut short, it is never given back.
//
//workshop:caught-by TestRoundTrip/discards_an_answer_before_it_waits
//workshop:says discard it before the wait
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
		discard(resp)
		if req, err = anew(req); err != nil {
			return nil, err
		}
	}
}
