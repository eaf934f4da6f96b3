//go:build ignore

// It returns the table's own slice. Whoever sorts it, or appends to a part of it,
// writes into the table, and from then on the whole program has other rules.
//
//workshop:caught-by TestNext/the_slice_is_the_callers_own
//workshop:says it returned the table's own slice
package orderstate

import "clicktocode.example/05-business-logic/order"

var table = map[order.State][]order.State{
	order.Pending:    {order.Paid, order.Cancelled},
	order.Paid:       {order.Preparing, order.Cancelling},
	order.Preparing:  {order.Dispatched},
	order.Dispatched: {order.Delivered},
	order.Cancelling: {order.Cancelled},
}

func Next(from order.State) []order.State { return table[from] }
