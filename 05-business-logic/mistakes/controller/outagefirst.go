//go:build ignore

// It looks for an outage before it looks for what the customer did. An error may be
// two in one: the card was declined, and the release behind it could not be sent. Then
// the customer is told to try again in a while, and is declined again.
//
//workshop:caught-by TestProblemOf/the_first_in_the_table_counts
//workshop:says the first in the table counts
package controller

import (
	"errors"
	"fmt"
	"net/http"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/05-business-logic/order"
)

func problemOf(err error) problem.Details {
	var soldOut *order.SoldOutError
	var state *order.StateError
	switch {
	case errors.Is(err, order.ErrUnknown):
		return kind(http.StatusGatewayTimeout, "unknown", "No answer came in time, and it may have been done. Ask again in the same way, with the same Idempotency-Key if there was one.")
	case errors.Is(err, order.ErrUnavailable):
		return kind(http.StatusServiceUnavailable, "unavailable", "This cannot be done at the moment, and nothing was. Try again in a while.")
	case errors.Is(err, order.ErrInvalid):
		return kind(http.StatusUnprocessableEntity, "invalid", faults(err))
	case errors.As(err, &soldOut):
		return kind(http.StatusConflict, "sold-out", fmt.Sprintf("Of %s there are %d left. Order fewer, or something else.", soldOut.Dish, soldOut.Left))
	case errors.Is(err, order.ErrSoldOut):
		return kind(http.StatusConflict, "sold-out", "There is not enough of a dish. Order fewer, or something else.")
	case errors.Is(err, order.ErrDeclined):
		return kind(http.StatusPaymentRequired, "declined", "The payment was declined, and nothing was charged. Order again, and pay by something else.")
	case errors.Is(err, order.ErrNotFound):
		return kind(http.StatusNotFound, "not-found", "There is no such order, or it is not yours.")
	case errors.As(err, &state):
		return kind(http.StatusConflict, "state", fmt.Sprintf("The order is %s: this cannot be done any more, or not yet.", state.From))
	case errors.Is(err, order.ErrState):
		return kind(http.StatusConflict, "state", "The order's state does not allow this. Look at the order.")
	case errors.Is(err, order.ErrConflict):
		return kind(http.StatusConflict, "conflict", "It was changed meanwhile, or given up. Look at your orders before you try again.")
	}
	return kind(http.StatusInternalServerError, "internal", "Something went wrong here. Try again in a while.")
}
