//go:build ignore

// It takes the first thing that it is told for the end. But a request that was
// picked before may have come meanwhile, and that one is dropped.
//
//workshop:caught-by TestDrain/looks_again_when_it_was_told
//workshop:says a reason to look at Active, not an answer
package drain

import (
	"context"
	"fmt"
)

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	idle := make(chan struct{}, 1)
	defer b.NotifyIdle(idle)()
	if b.Active() == 0 {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
	}
}
