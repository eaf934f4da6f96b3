//go:build ignore

// It looks every ten milliseconds whether the last request is over. That costs
// work all the time, and still comes late: of many backends, drained one after
// the other, each waits for the next look.
//
//workshop:caught-by TestDrain/returns_at_the_very_moment
//workshop:says It must not look at Active every so often
package drain

import (
	"context"
	"fmt"
	"time"
)

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for b.Active() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	return nil
}
