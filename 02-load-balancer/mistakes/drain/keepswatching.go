//go:build ignore

// It never says that it wants to be told no more. Each time that a backend is
// drained, one more watcher stays, and each End has to go through them all.
//
//workshop:caught-by TestDrain/stops_being_told
//workshop:says would leave a watcher behind
package drain

import (
	"context"
	"fmt"
)

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	idle := make(chan struct{}, 1)
	b.NotifyIdle(idle)
	for b.Active() > 0 {
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	return nil
}
