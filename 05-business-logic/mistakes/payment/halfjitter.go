//go:build ignore

// Half of its wait is fixed, and only the other half is random ("equal jitter").
// So in the first half of each wait nobody comes, and all those who failed
// together come within the second one: twice the load that there need be.
//
//workshop:caught-by TestWait/is_anything_up_to_the_longest
//workshop:says Whatever part is fixed
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
	longest := t.c.FirstDelay
	for i := 1; i < n && longest < t.c.MaxDelay; i++ {
		longest = min(2*longest, t.c.MaxDelay)
	}
	return after + longest/2 + t.c.Random(longest/2), true
}
