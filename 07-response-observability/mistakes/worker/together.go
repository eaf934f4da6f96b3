//go:build ignore

// It waits the same time for all. A hundred mails that failed together, because the post was
// away, come back in the same second, and overrun it as it gets up.
//
//workshop:caught-by TestWork/spreads_its_waits
//workshop:says come back together
package worker

import (
	"time"
)

func wait(c Config, attempts int) time.Duration {
	d := c.Backoff
	for range attempts - 1 {
		if d = min(2*d, c.MaxBackoff); d == c.MaxBackoff {
			break
		}
	}
	return d
}
