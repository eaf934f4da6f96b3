//go:build ignore

// It lets a paid order be cancelled in one step. But the money is paid back by
// somebody else, who may be out of reach just then: the order says cancelled, so
// nobody looks at it again, and the customer waits for the money.
//
//workshop:caught-by TestCheck/refuses_to_call_cancelled_what_is_not_paid_back
//workshop:says until then it is cancelling
package orderstate

import "clicktocode.example/05-business-logic/order"

func Next(from order.State) []order.State {
	switch from {
	case order.Pending:
		return []order.State{order.Paid, order.Cancelled}
	case order.Paid:
		return []order.State{order.Preparing, order.Cancelling, order.Cancelled}
	case order.Preparing:
		return []order.State{order.Dispatched}
	case order.Dispatched:
		return []order.State{order.Delivered}
	case order.Cancelling:
		return []order.State{order.Cancelled}
	}
	return nil
}
