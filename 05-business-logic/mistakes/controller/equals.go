//go:build ignore

// It compares errors by ==. An error that was passed on is wrapped, by each who has
// something to add, so that it is another value: nothing fits, and a dish that is
// sold out becomes a 500.
//
//workshop:caught-by TestProblemOf/looks_through_what_wraps_it
//workshop:says == finds nothing
package controller

import (
	"net/http"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/05-business-logic/order"
)

func problemOf(err error) problem.Details {
	switch err {
	case order.ErrUnknown:
		return kind(http.StatusGatewayTimeout, "unknown", "No answer came in time, and it may have been done. Ask again in the same way, with the same Idempotency-Key if there was one.")
	case order.ErrInvalid:
		return kind(http.StatusUnprocessableEntity, "invalid", faults(err))
	case order.ErrSoldOut:
		return kind(http.StatusConflict, "sold-out", "There is not enough of a dish. Order fewer, or something else.")
	case order.ErrDeclined:
		return kind(http.StatusPaymentRequired, "declined", "The payment was declined, and nothing was charged. Order again, and pay by something else.")
	case order.ErrNotFound:
		return kind(http.StatusNotFound, "not-found", "There is no such order, or it is not yours.")
	case order.ErrState:
		return kind(http.StatusConflict, "state", "The order's state does not allow this. Look at the order.")
	case order.ErrConflict:
		return kind(http.StatusConflict, "conflict", "It was changed meanwhile, or given up. Look at your orders before you try again.")
	case order.ErrUnavailable:
		return kind(http.StatusServiceUnavailable, "unavailable", "This cannot be done at the moment, and nothing was. Try again in a while.")
	}
	return kind(http.StatusInternalServerError, "internal", "Something went wrong here. Try again in a while.")
}
