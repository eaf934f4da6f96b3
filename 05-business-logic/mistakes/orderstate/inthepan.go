//go:build ignore

// It lets an order be cancelled while it is cooked. But cancelled means that the
// dishes are in stock again, and what is in the pan cannot be sold once more.
//
//workshop:caught-by TestCheck/refuses_to_cancel_what_the_kitchen_has_begun
//workshop:says these are in the pan
package orderstate

import "clicktocode.example/05-business-logic/order"

func Next(from order.State) []order.State {
	switch from {
	case order.Pending:
		return []order.State{order.Paid, order.Cancelled}
	case order.Paid:
		return []order.State{order.Preparing, order.Cancelling}
	case order.Preparing:
		return []order.State{order.Dispatched, order.Cancelling}
	case order.Dispatched:
		return []order.State{order.Delivered}
	case order.Cancelling:
		return []order.State{order.Cancelled}
	}
	return nil
}
