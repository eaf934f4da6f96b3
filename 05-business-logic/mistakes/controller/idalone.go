//go:build ignore

// Its Location is the order's ID alone. That is a relative reference, and is looked
// up beside the route that was asked for: from /orders, "17" leads to /17.
//
//workshop:caught-by TestPlace/sends_its_Location
//workshop:says leads to /17
package controller

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
	"clicktocode.example/05-business-logic/order"
)

func (s *Controllers) place(c *gin.Context) {
	var body placing
	if !bind(c, &body) {
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
	c.Header("Location", o.ID)
	s.reply(c, status, o)
}
