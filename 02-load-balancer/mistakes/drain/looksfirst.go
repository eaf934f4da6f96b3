//go:build ignore

// It looks whether there are requests, and asks to be told of the last one's end
// then. Between the two, the last one may end: that is told to nobody, and the
// wait lasts until the time is over.
//
//workshop:caught-by TestDrain/does_not_miss_a_request_that_ends_meanwhile
//workshop:says Ask to be told (NotifyIdle) first
package drain

import (
	"context"
	"fmt"
)

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	for b.Active() > 0 {
		idle := make(chan struct{}, 1)
		stop := b.NotifyIdle(idle)
		select {
		case <-idle:
			stop()
		case <-ctx.Done():
			stop()
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	return nil
}
