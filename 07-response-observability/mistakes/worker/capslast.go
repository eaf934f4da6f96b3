//go:build ignore

// It bounds the wait after it has taken the random part of it. Of mails that have failed
// several times, each wait is above the bound, and so all wait for just that long, and
// come back together.
//
//workshop:caught-by TestWork/spreads_its_waits
//workshop:says The random part is taken last
package worker

import (
	"math/rand/v2"
	"time"
)

func wait(c Config, attempts int) time.Duration {
	d := c.Backoff
	for i := 1; i < attempts && d < 2*c.MaxBackoff; i++ {
		d *= 2
	}
	return min(d/2+rand.N(d/2+1), c.MaxBackoff)
}
