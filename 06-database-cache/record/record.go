// Package record is an order as the tables have it: a row of orders, and rows of
// order_lines. Whoever reads orders reads them by these types and columns.
package record

import (
	"time"

	"clicktocode.example/05-business-logic/order"
)

// Order is a row of the table orders, as sqlx reads it by OrderColumns.
type Order struct {
	ID, Customer, State, Currency  string
	Subtotal, Discount, Tax, Total int64
	Method, Payment                string
	Version                        int
	Created, Updated               time.Time
}

// OrderColumns are the columns of Order, for a SELECT.
const OrderColumns = `id, customer, state, currency, subtotal, discount, tax, total, method, payment, version, created, updated`

// Order returns it as an order, in UTC, without its lines.
func (o Order) Order() order.Order {
	money := func(amount int64) order.Money { return order.Money{Amount: amount, Currency: o.Currency} }
	return order.Order{
		ID: o.ID, Customer: o.Customer, State: order.State(o.State), Method: o.Method, Payment: o.Payment, Version: o.Version,
		Totals:  order.Totals{Subtotal: money(o.Subtotal), Discount: money(o.Discount), Tax: money(o.Tax), Total: money(o.Total)},
		Created: o.Created.UTC(), Updated: o.Updated.UTC(), // the driver returns them in the session's time zone
	}
}

// Line is a row of the table order_lines, as sqlx reads it by LineColumns. Lines
// of an order stand in the order of the column position.
type Line struct {
	OrderID     string `db:"order_id"`
	Dish, Name  string
	Quantity    int
	Unit, Total int64
}

// LineColumns are the columns of Line, for a SELECT.
const LineColumns = `order_id, dish, name, quantity, unit, total`

// Line returns it as a line of an order whose amounts are of that currency.
func (l Line) Line(currency string) order.Line {
	return order.Line{
		Dish: l.Dish, Name: l.Name, Quantity: l.Quantity,
		Unit: order.Money{Amount: l.Unit, Currency: currency}, Total: order.Money{Amount: l.Total, Currency: currency},
	}
}
