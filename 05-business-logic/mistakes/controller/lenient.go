//go:build ignore

// It lets gin read the body. gin, like encoding/json, drops the fields that it does
// not know, and reads nothing behind the first value: the customer who misspells
// "quantity" gets another dinner than the one that was asked for.
//
//workshop:caught-by TestPlaceBadBodies/refuses_fields_that_it_does_not_know
//workshop:says Let pass in silence, it is lost in silence
package controller

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/05-business-logic/order"
)

func (s *Controllers) place(c *gin.Context) {
	var body placing
	if err := c.ShouldBindJSON(&body); err != nil {
		problem.Abort(c, kind(http.StatusBadRequest, "malformed", "The body cannot be read."))
		return
	}
	if body.PaymentMethod == "" {
		body.PaymentMethod = s.config.Method
	}
	ctx := c.Request.Context()
	o, err := s.service.Place(ctx, order.Request{Customer: request.From(ctx).Subject, Items: body.Lines, Method: body.PaymentMethod})
	if err != nil {
		refuse(c, err)
		return
	}
	status := http.StatusCreated
	if o.State == order.Pending {
		status = http.StatusAccepted
	}
	c.Header("Location", c.FullPath()+"/"+o.ID)
	s.reply(c, status, o)
}
