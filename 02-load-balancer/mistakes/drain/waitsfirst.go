//go:build ignore

// It waits until the backend is idle, and closes it for new requests then. On a
// busy backend there is always one request more, so the wait has no end.
//
//workshop:caught-by TestDrain/takes_no_new_requests_from_the_start
//workshop:says and not after the wait
package drain

import (
	"context"
	"fmt"
)

func Drain(ctx context.Context, b Backend) error {
	idle := make(chan struct{}, 1)
	defer b.NotifyIdle(idle)()
	for b.Active() > 0 {
		select {
		case <-idle:
		case <-ctx.Done():
			b.SetDraining(true)
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	b.SetDraining(true)
	return nil
}
