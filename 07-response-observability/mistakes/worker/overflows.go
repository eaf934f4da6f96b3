//go:build ignore

// It doubles first, and looks afterwards whether it is too much. After forty times, the
// number has passed the end of 64 bits, and is negative.
//
//workshop:caught-by TestWork/does_not_overflow
//workshop:says does not fit into 64 bits
package worker

import (
	"math/rand/v2"
	"time"
)

func wait(c Config, attempts int) time.Duration {
	d := min(c.Backoff<<(attempts-1), c.MaxBackoff)
	return d/2 + rand.N(max(d/2, 0)+1)
}
