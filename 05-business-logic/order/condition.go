package order

import (
	"context"
	"errors"
	"fmt"
)

// ErrCondition: the order is not as the caller's condition wants it. Nothing was done.
var ErrCondition = errors.New("order: condition not met")

type conditionKey struct{}

// WithCondition returns a context that lets an existing order be changed only if holds
// says so: of the order as it is at the time of the change, not as it was when the
// caller looked. It is how a client's If-Match gets to where the change is made,
// through those in between who know nothing of it.
//
// holds is called for each order that is about to be changed by a call with this
// context, and again if somebody else has changed it before the change was kept. It
// must not wait for anything. New orders are not asked about.
func WithCondition(ctx context.Context, holds func(Order) bool) context.Context {
	return context.WithValue(ctx, conditionKey{}, holds)
}

// CheckCondition is for who changes orders. It returns an ErrCondition if ctx has a
// condition (WithCondition) that does not hold of o. o is as it was read, and the change
// is kept only if its Version is still the same: see Orders.Update.
func CheckCondition(ctx context.Context, o Order) error {
	if holds, ok := ctx.Value(conditionKey{}).(func(Order) bool); ok && !holds(o) {
		return fmt.Errorf("%w: order %q is in version %d", ErrCondition, o.ID, o.Version)
	}
	return nil
}
