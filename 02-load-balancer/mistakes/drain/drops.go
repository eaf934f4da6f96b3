//go:build ignore

// It closes the backend for new requests, and does not wait for those that are
// with it. Whoever called stops the backend now, and they are cut in the middle.
//
//workshop:caught-by TestDrain/waits_until_the_last_request_is_over
//workshop:says these are dropped
package drain

import "context"

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	return ctx.Err()
}
