// Package orderstate says what may become of an order: from which state it may
// go to which.
//
// An order's state is one word, and everybody has a wish about it: the customer
// cancels, the kitchen begins, the courier sets out, and the payment's answer
// comes late. If each of them checks for itself what it takes to be possible,
// sooner or later a dish is cooked that was paid back. So the rules stand here,
// once. In the story: a slip wanders along the rail over the stove, to the right
// only, and from the plate nothing goes back into the pan.
//
//	       ┌───────────────────────────► cancelled
//	pending┴► paid ┬► cancelling ──────────┘
//	               └► preparing ─► dispatched ─► delivered
//
// It knows nothing of time and of who asks. That two change one order at once is
// the business of Order.Version.
//
// Source: the finite state machine of every textbook, written as a table.
package orderstate

import (
	"clicktocode.example/05-business-logic/order"
)

// Next returns the states that an order may go to from the state from, in the
// order of order.States:
//
//	pending     paid, when the charge's answer came at last; cancelled, when it
//	            was declined
//	paid        preparing; cancelling
//	preparing   dispatched. What is in the pan is not cancelled any more: its
//	            ingredients cannot go back into stock
//	dispatched  delivered
//	cancelling  cancelled, when it is paid back and its dishes are in stock again
//
// From delivered and from cancelled it goes nowhere, nor from what is no state:
// then Next returns none. The slice is the caller's own. Next may be called by
// many goroutines at once.
func Next(from order.State) []order.State {
	// TODO(orderstate): Write the table of the comment above down: for each state, those that
	// come next. A switch will do.
	// The reference imports, besides what stands above: "slices".
	return []order.State{from}
}

// Check returns nil if an order may go from the state from to the state to, and
// otherwise an *order.StateError that names both. A step from a state to itself
// is no step: who cancels a cancelled order would pay back twice.
func Check(from, to order.State) error {
	// TODO(orderstate): Is to among those that come next? If not, the error names from and to.
	return new(order.StateError)
}
