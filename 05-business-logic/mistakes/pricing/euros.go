//go:build ignore

// It takes all amounts for euros, as all dishes of this menu are. The day another
// restaurant's menu is in yen, 900 yen become 900 cents of a euro, and nothing fails.
//
//workshop:caught-by TestLines/a_line_has_the_currency_of_its_dish
//workshop:says the currency that stands on the menu
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
	const currency = "EUR"
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
	off := share(subtotal, int64(discount))
	taxed := share(subtotal-off, int64(tax)) // of what is paid: nobody owes tax on money that was let off
	total, fits := plus(subtotal-off, taxed)
	if !fits {
		return nil, order.Totals{}, fmt.Errorf("%w: %d and tax of %d", ErrOverflow, subtotal-off, taxed)
	}
	money := func(amount int64) order.Money { return order.Money{Amount: amount, Currency: currency} }
	return lines, order.Totals{Subtotal: money(subtotal), Discount: money(off), Tax: money(taxed), Total: money(total)}, nil
}
