//go:build ignore

// It numbers the states, and lets an order go from any of them to a higher one.
// That says which way, but not how far: an order that is paid is dispatched
// without having been cooked.
//
//workshop:caught-by TestCheck/refuses_to_dispatch_what_was_never_cooked
//workshop:says no step may be left out
package orderstate

import (
	"slices"

	"clicktocode.example/05-business-logic/order"
)

func Check(from, to order.State) error {
	states := order.States()
	a, b := slices.Index(states, from), slices.Index(states, to)
	cancels := to == order.Cancelling && from != order.Paid || to == order.Cancelled && from != order.Pending && from != order.Cancelling
	if a < 0 || b <= a || from == order.Delivered || cancels {
		return &order.StateError{From: from, To: to}
	}
	return nil
}
