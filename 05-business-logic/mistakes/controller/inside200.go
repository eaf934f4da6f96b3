//go:build ignore

// It answers 200, and tells the error in the body. Whoever looks at the status, as
// programs, balancers, caches and idempotency keys do, takes that for an order.
//
//workshop:caught-by TestPlace/says_by_the_status_that_it_failed
//workshop:says 2xx says that there is an order
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
		c.JSON(http.StatusOK, gin.H{"error": problemOf(err).Detail})
		return
	}
	status := http.StatusCreated
	if o.State == order.Pending {
		status = http.StatusAccepted
	}
	c.Header("Location", c.FullPath()+"/"+o.ID)
	s.reply(c, status, o)
}
