//go:build ignore

// It lets an order be cancelled until it is delivered. But cancelled means paid
// back, and its dishes in stock again: these are with the courier. The customer
// eats for free, and the next one orders a dish that is not there.
//
//workshop:caught-by TestCheck/refuses_to_cancel_what_is_on_its_way
//workshop:says are on their way to the customer
package orderstate

import "clicktocode.example/05-business-logic/order"

func Next(from order.State) []order.State {
	switch from {
	case order.Pending:
		return []order.State{order.Paid, order.Cancelled}
	case order.Paid:
		return []order.State{order.Preparing, order.Cancelling}
	case order.Preparing:
		return []order.State{order.Dispatched}
	case order.Dispatched:
		return []order.State{order.Delivered, order.Cancelling}
	case order.Cancelling:
		return []order.State{order.Cancelled}
	}
	return nil
}
