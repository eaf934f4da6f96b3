//go:build ignore

// It doubles by a shift, and cuts off afterwards. But the shift overflows: 100 ms
// doubled some 40 times is negative or 0, which is less than any limit. A caller
// who tries for long enough then tries without a pause.
//
//workshop:caught-by TestWait/ends_at_MaxDelay
//workshop:says more than a time.Duration can hold
package payment

import (
	"net/http"
	"time"
)

func (t *Transport) Wait(n int, resp *http.Response) (wait time.Duration, ok bool) {
	after := retryAfter(resp)
	if after > t.c.MaxRetryAfter {
		return 0, false
	}
	longest := min(t.c.FirstDelay<<(n-1), t.c.MaxDelay)
	return after + t.c.Random(longest), true
}
