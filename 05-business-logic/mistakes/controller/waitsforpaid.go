//go:build ignore

// It answers 202 to whatever is not paid. But an order that is asked for again comes
// back as it stands: being cooked, or delivered. 202 says that it may come to nothing,
// and the customer goes on waiting for a dinner that has been eaten.
//
//workshop:caught-by TestPlace/answers_201_in_every_other_state
//workshop:says that is so in state pending alone
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
	o, err := s.service.Place(ctx, order.Request{
		Customer: request.From(ctx).Subject,
		Items:    body.Lines,
		Method:   body.PaymentMethod,
	})
	if err != nil {
		refuse(c, err)
		return
	}
	status := http.StatusAccepted
	if o.State == order.Paid {
		status = http.StatusCreated
	}
	c.Header("Location", c.FullPath()+"/"+o.ID)
	s.reply(c, status, o)
}
