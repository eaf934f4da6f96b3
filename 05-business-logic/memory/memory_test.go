package memory_test

import (
	"testing"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
)

func TestMenu(t *testing.T) {
	ordertest.TestMenu(t, func(t *testing.T, dishes []order.Dish) order.Menu { return memory.NewMenu(dishes) })
}

func TestStock(t *testing.T) {
	ordertest.TestStock(t, func(t *testing.T, left map[string]int) order.Stock { return memory.NewStock(left) })
}

func TestOrders(t *testing.T) {
	ordertest.TestOrders(t, func(t *testing.T) order.Orders { return memory.NewOrders() })
}

func TestPayments(t *testing.T) {
	ordertest.TestPayments(t, func(t *testing.T) ordertest.Till {
		payments := memory.NewPayments()
		return ordertest.Till{
			Payments: payments, Method: "pm_card_visa", Declined: memory.Declined,
			Book: func(t *testing.T, order string) (charged, refunded int64) {
				for _, p := range payments.Book() {
					if p.Charge.Order != order || p.ID == "" {
						continue
					}
					charged += p.Charge.Amount.Amount
					if p.Refunded {
						refunded += p.Charge.Amount.Amount
					}
				}
				return charged, refunded
			},
		}
	})
}

func TestMailer(t *testing.T) {
	ordertest.TestMailer(t, func(t *testing.T) ordertest.Post {
		mailer := memory.NewMailer()
		return ordertest.Post{Mailer: mailer, Sent: func(*testing.T) []order.Mail { return mailer.Sent() }}
	})
}

// The ports through Faults are the ports: nothing is lost on the way.
func TestThroughFaults(t *testing.T) {
	t.Run("stock", func(t *testing.T) {
		ordertest.TestStock(t, func(t *testing.T, left map[string]int) order.Stock {
			return ordertest.NewFaults(memory.Ports(nil, left)).Ports().Stock
		})
	})
	t.Run("orders", func(t *testing.T) {
		ordertest.TestOrders(t, func(t *testing.T) order.Orders {
			return ordertest.NewFaults(memory.Ports(nil, nil)).Ports().Orders
		})
	})
}
