package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/05-business-logic/order"
)

// problems is where the types of problems stand. Nothing need be there: a type is
// a name, which nobody else uses (RFC 9457 §3.1.1).
const problems = "https://shop.test/problems/"

// titles are the kinds of problems, in words.
var titles = map[string]string{
	"malformed":   "The request cannot be read",
	"invalid":     "The order is not valid",
	"sold-out":    "Sold out",
	"declined":    "The payment was declined",
	"not-found":   "No such order",
	"state":       "The order's state does not allow this",
	"conflict":    "The order was changed meanwhile",
	"unavailable": "Not available at the moment",
	"unknown":     "The outcome is not known",
	"internal":    "Internal error",
	"condition":   "The condition does not hold",
}

// kind is a problem of the kind name, one of titles.
func kind(status int, name, detail string) problem.Details {
	return problem.Details{Type: problems + name, Title: titles[name], Status: status, Detail: detail}
}

// faults is what is wrong with a request, for the customer: of each InvalidError in
// err, which may be several joined ones, its field and its words.
func faults(err error) string {
	var found []string
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *order.InvalidError:
			found = append(found, e.Field+": "+e.What)
		case interface{ Unwrap() []error }: // errors.As would find the first one alone
			for _, each := range e.Unwrap() {
				walk(each)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	if len(found) == 0 {
		return "The order cannot be taken as it is."
	}
	return strings.Join(found, "; ") + "."
}

// retryAfter is in how many seconds one may try again where something that is
// needed cannot be reached.
const retryAfter = "5"

// refuse answers with what problemOf says of err. Nothing else of err goes out; if
// it is a fault of ours (5xx), it is noted by c.Error, for who writes the log.
//
// What is not of the service's own making is looked at here: a deadline that is over is
// order.ErrUnknown, where the client has left, nobody reads the answer, and a condition
// of the client's that does not hold is 412 (RFC 9110 §15.5.13).
func refuse(c *gin.Context, err error) {
	ctx := c.Request.Context()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		_ = c.Error(err)
		c.AbortWithStatus(499) // for the log, in nginx's way: nothing has broken here
		return
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w: %w", order.ErrUnknown, err)
	case errors.Is(err, order.ErrCondition): // chapter 7 lets If-Match in
		problem.Abort(c, kind(http.StatusPreconditionFailed, "condition", "The order is not the one that your condition names (any more). Look at it before you try again."))
		return
	}
	d := problemOf(err)
	if d.Status == 0 {
		d.Status = http.StatusNotImplemented // until problemOf is written
	}
	if d.Status >= http.StatusInternalServerError {
		_ = c.Error(err)
	}
	if d.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", retryAfter)
	}
	d.Instance = request.ID(ctx)
	problem.Abort(c, d)
}

// Order is an order as its customer sees it.
type Order struct {
	ID       string       `json:"id"`
	State    order.State  `json:"state"`
	Lines    []order.Line `json:"lines"`
	Subtotal order.Money  `json:"subtotal"`
	Discount order.Money  `json:"discount"`
	Tax      order.Money  `json:"tax"`
	Total    order.Money  `json:"total"`
	Created  time.Time    `json:"created"`
	Updated  time.Time    `json:"updated"`
	Version  int          `json:"-"` // for its entity tag: see chapter 7
}

func show(o order.Order) *Order {
	if o.Lines == nil {
		o.Lines = []order.Line{} // an empty list, not null
	}
	return &Order{
		o.ID, o.State, o.Lines,
		o.Totals.Subtotal, o.Totals.Discount, o.Totals.Tax, o.Totals.Total,
		o.Created.UTC(), o.Updated.UTC(), o.Version,
	}
}

// Page is a part of a list of orders.
type Page struct {
	Orders []*Order `json:"orders"`
	Next   string   `json:"next,omitempty"` // the cursor of the page behind it; empty on the last
}

// reply answers with o. No cache may keep it: it is one customer's.
func (s *Controllers) reply(c *gin.Context, status int, o order.Order) {
	c.Header("Cache-Control", "no-store")
	s.config.Render(c, status, show(o))
}
