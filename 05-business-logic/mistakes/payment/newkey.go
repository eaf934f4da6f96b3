//go:build ignore

// It gives each attempt a key of its own. The provider then takes each for a
// charge of its own: whenever an answer is lost on the way, though the charge was
// made, the customer pays twice. The key stands for what is wanted, not for the
// attempt.
//
//workshop:caught-by TestRoundTrip/sends_the_same_key_each_time
//workshop:says by another, the customer pays again
package payment

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"
)

func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	for n := 1; ; n++ {
		out, sent := attempt(req)
		if req.Header.Get("Idempotency-Key") != "" {
			out.Header = req.Header.Clone()
			out.Header.Set("Idempotency-Key", rand.Text())
		}
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
		if req, err = anew(req); err != nil {
			return nil, err
		}
	}
}
