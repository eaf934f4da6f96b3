//go:build ignore

// It asks what the error is before it asks whether the caller is still there. An
// error that is none of the callee's, of a caller who has left, is a success then: it
// clears what was counted, and as a probe it closes the breaker, though nobody has
// heard of the callee.
//
//workshop:caught-by TestDo/asks_for_the_caller_before_it_asks_what_the_error_is
//workshop:says he clears nothing: three failed in a row
package breaker

import (
	"context"
	"errors"
	"time"
)

func (b *Breaker) judge(ctx context.Context, err error, took time.Duration) outcome {
	switch {
	case took > b.config.Slow:
		return failure
	case err == nil || !b.config.Failed(err):
		return success
	case errors.Is(ctx.Err(), context.Canceled):
		return neither
	}
	return failure
}
