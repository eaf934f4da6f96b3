//go:build ignore

// When its time is over, it opens the backend again. But the backend is about to
// leave, whether its requests are over or not, and now it gets new ones, too.
//
//workshop:caught-by TestDrain/gives_up_when_its_time_is_over
//workshop:says is still about to leave
package drain

import (
	"context"
	"fmt"
)

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	idle := make(chan struct{}, 1)
	defer b.NotifyIdle(idle)()
	for b.Active() > 0 {
		select {
		case <-idle:
		case <-ctx.Done():
			b.SetDraining(false)
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	return nil
}
