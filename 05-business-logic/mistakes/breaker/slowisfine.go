//go:build ignore

// It asks for the error first. But a callee that answers everything rightly, and needs
// ten seconds for it, holds ten seconds of everybody's connections and memory.
//
//workshop:caught-by TestDo/takes_a_slow_call_for_a_failure
//workshop:says whoever is so slow is about to fall
package breaker

import (
	"context"
	"errors"
	"time"
)

func (b *Breaker) judge(ctx context.Context, err error, took time.Duration) outcome {
	switch {
	case err == nil:
		return success
	case took > b.config.Slow:
		return failure
	case errors.Is(ctx.Err(), context.Canceled):
		return neither
	case b.config.Failed(err):
		return failure
	}
	return success
}
