//go:build ignore

// It takes each error for the callee's. But who cancels the context is the caller: a
// few customers who click away close the shop for all others.
//
//workshop:caught-by TestDo/takes_no_caller_who_left_for_a_failure
//workshop:says Impatient customers must not close the shop
package breaker

import (
	"context"
	"time"
)

func (b *Breaker) judge(ctx context.Context, err error, took time.Duration) outcome {
	switch {
	case took > b.config.Slow:
		return failure
	case err == nil:
		return success
	case b.config.Failed(err):
		return failure
	}
	return success
}
