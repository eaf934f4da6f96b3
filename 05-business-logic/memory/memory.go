// Package memory implements the ports of package order in this process's memory:
// a menu, a stock, orders, payments that move no money, and mail that nobody gets.
//
// It is what the service runs on until chapter 6 brings the database, and where
// no database can be found. It is complete and quick, it passes ordertest as the
// real ones do, and it forgets everything when the process ends. Nothing in it
// shrinks: it is made for hours, not for months.
//
// All of it may be used by many goroutines at once. No method waits for anything.
package memory

import (
	"context"
	"fmt"

	"clicktocode.example/05-business-logic/order"
)

// Ports returns new ports, with a menu of dishes and so many of each, by ID, in
// stock. They share nothing but what placing orders makes them share.
func Ports(dishes []order.Dish, left map[string]int) order.Ports {
	return order.Ports{Menu: NewMenu(dishes), Stock: NewStock(left), Payments: NewPayments(), Orders: NewOrders()}
}

// gone returns an error if ctx is done: nothing has been done for this call then.
func gone(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: %s: %w: %w", call, order.ErrUnavailable, err)
	}
	return nil
}
