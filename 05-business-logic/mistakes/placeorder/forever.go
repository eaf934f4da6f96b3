//go:build ignore

// It takes the caller's end from the context, and with it the caller's deadline. A
// payment provider that never answers then keeps the refund, the dishes and a
// goroutine until the process ends.
//
//workshop:caught-by TestUndo/the_refund_has_a_deadline
//workshop:says a context that never ends
package placeorder

import "context"

func detached(ctx context.Context, call func(context.Context) error) error {
	return call(context.WithoutCancel(ctx))
}
