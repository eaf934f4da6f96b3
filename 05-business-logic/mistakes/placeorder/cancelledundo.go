//go:build ignore

// It undoes with the caller's context, and a deadline. When the customer has left,
// that context is done, and so is every call with it before it began: the dishes
// stay reserved for an order that nobody has placed.
//
//workshop:caught-by TestClientLeft/when_the_dishes_were_reserved
//workshop:says whatever undoes needs another
package placeorder

import "context"

func detached(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return call(ctx)
}
