//go:build ignore

// It takes the customer's name out of the body. Anybody can write a name there, and
// order at the cost of somebody else: the token says who it is, and was checked.
//
//workshop:caught-by TestPlace/orders_in_the_name_of_who_asks
//workshop:says What is in a body, anybody can write
package controller

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/05-business-logic/order"
)

type placing struct {
	Customer      string       `json:"customer"`
	Lines         []order.Item `json:"lines"`
	PaymentMethod string       `json:"payment_method"`
}

func (s *Controllers) place(c *gin.Context) {
	var body placing
	if !bind(c, &body) {
		return
	}
	if body.PaymentMethod == "" {
		body.PaymentMethod = s.config.Method
	}
	o, err := s.service.Place(c.Request.Context(), order.Request{Customer: body.Customer, Items: body.Lines, Method: body.PaymentMethod})
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
