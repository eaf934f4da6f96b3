//go:build ignore

// It takes the tax of each line, rounded, and sums these up. Each line may be
// rounded by half a cent, and it adds up: the tax of the order is not the tax on
// its total any more. What is rounded is the sum, once.
//
//workshop:caught-by TestTotals/rounds_the_sum_and_not_the_lines
//workshop:says what each line is rounded by adds up
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
	var subtotal, off, taxed int64
	for i, dish := range dishes {
		total, fits := times(dish.Price.Amount, int64(items[i].Quantity))
		if !fits {
			return nil, order.Totals{}, fmt.Errorf("%w: %d of dish %q", ErrOverflow, items[i].Quantity, dish.ID)
		}
		if subtotal, fits = plus(subtotal, total); !fits {
			return nil, order.Totals{}, fmt.Errorf("%w: the lines' sum, at dish %q", ErrOverflow, dish.ID)
		}
		lineOff := share(total, int64(discount))
		off += lineOff
		taxed += share(total-lineOff, int64(tax))
		lines[i] = order.Line{
			Dish: dish.ID, Name: dish.Name, Quantity: items[i].Quantity,
			Unit: dish.Price, Total: order.Money{Amount: total, Currency: currency},
		}
	}
	total, fits := plus(subtotal-off, taxed)
	if !fits {
		return nil, order.Totals{}, fmt.Errorf("%w: %d and tax of %d", ErrOverflow, subtotal-off, taxed)
	}
	money := func(amount int64) order.Money { return order.Money{Amount: amount, Currency: currency} }
	return lines, order.Totals{Subtotal: money(subtotal), Discount: money(off), Tax: money(taxed), Total: money(total)}, nil
}
