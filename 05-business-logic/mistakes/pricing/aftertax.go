//go:build ignore

// It adds the tax to the subtotal, and takes the discount off the sum of both.
// Then tax was counted on money that nobody pays, and the discount is one on the
// tax, too: subtotal, discount and tax on the bill are all of them wrong.
//
//workshop:caught-by TestTotals/taxes_what_is_left_after_the_discount
//workshop:says nobody owes tax on what was let off
package pricing

import (
	"fmt"

	"clicktocode.example/05-business-logic/order"
)

func Price(items []order.Item, menu []order.Dish, discount Discount, tax Rate) ([]order.Line, order.Totals, error) {
	dishes, err := find(items, menu, discount, tax)
	if err != nil {
		return nil, order.Totals{}, err
	}
	currency := dishes[0].Price.Currency
	lines := make([]order.Line, len(items))
	var subtotal int64
	for i, dish := range dishes {
		total, fits := times(dish.Price.Amount, int64(items[i].Quantity))
		if !fits {
			return nil, order.Totals{}, fmt.Errorf("%w: %d of dish %q", ErrOverflow, items[i].Quantity, dish.ID)
		}
		if subtotal, fits = plus(subtotal, total); !fits {
			return nil, order.Totals{}, fmt.Errorf("%w: the lines' sum, at dish %q", ErrOverflow, dish.ID)
		}
		lines[i] = order.Line{
			Dish: dish.ID, Name: dish.Name, Quantity: items[i].Quantity,
			Unit: dish.Price, Total: order.Money{Amount: total, Currency: currency},
		}
	}
	taxed := share(subtotal, int64(tax))
	gross, fits := plus(subtotal, taxed)
	if !fits {
		return nil, order.Totals{}, fmt.Errorf("%w: %d and tax of %d", ErrOverflow, subtotal, taxed)
	}
	off := share(gross, int64(discount))
	money := func(amount int64) order.Money { return order.Money{Amount: amount, Currency: currency} }
	return lines, order.Totals{Subtotal: money(subtotal), Discount: money(off), Tax: money(taxed), Total: money(gross - off)}, nil
}
