//go:build ignore

// It waits by time.Sleep, and looks at the context only when it wakes up. A
// customer who has left, or a service that shuts down, is kept for seconds by a
// wait that nobody needs any more.
//
//workshop:caught-by TestRoundTrip/stops_at_once_when_cancelled
//workshop:says where time.Sleep sleeps through
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
		time.Sleep(wait)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("payment: after attempt %d: %w", n, ctx.Err())
		}
		if req, err = anew(req); err != nil {
			return nil, err
		}
	}
}
