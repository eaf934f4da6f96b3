//go:build ignore

// It gives each call a deadline, and throws away what ends the context before that. The
// call is over in a millisecond, and its timer stays for ten seconds: a thousand orders
// a second are ten thousand timers that nobody needs. `go vet` finds it (lostcancel).
//
//workshop:caught-by TestUndo/what_has_returned_leaves_no_timer
//workshop:says returns a cancel
package placeorder

import "context"

func detached(ctx context.Context, call func(context.Context) error) error {
	ctx, _ = context.WithTimeout(context.WithoutCancel(ctx), Patience)
	return call(ctx)
}
