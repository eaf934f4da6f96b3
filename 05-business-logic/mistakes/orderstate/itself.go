//go:build ignore

// It takes a step from a state to itself for harmless, since nothing changes. But
// around the step things are done: who cancels what is cancelled pays back twice.
//
//workshop:caught-by TestCheck/refuses_to_cancel_twice
//workshop:says a step from a state to itself is no step
package orderstate

import (
	"slices"

	"clicktocode.example/05-business-logic/order"
)

func Check(from, to order.State) error {
	if from == to || slices.Contains(Next(from), to) {
		return nil
	}
	return &order.StateError{From: from, To: to}
}
