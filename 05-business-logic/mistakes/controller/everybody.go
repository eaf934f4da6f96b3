//go:build ignore

// It asks whose who orders, as the routes that show orders do. For a cook that is the
// empty customer, which stands for everybody: so the order has nobody to pay for it.
//
//workshop:caught-by TestPlace/orders_in_the_name_of_a_cook_too
//workshop:says who orders has a name
package controller

import (
	"net/http"

	"github.com/gin-gonic/gin"

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
		Customer: whose(c),
		Items:    body.Lines,
		Method:   body.PaymentMethod,
	})
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
