// Package pricing says what an order costs.
//
// Money is counted in whole cents, as integers: a float64 knows no 0.10, only a
// number near it, and the cents that this loses are somebody's. Where a share of
// an amount is taken, a discount or a tax, a part of a cent may be left over, and
// it is settled here, in one place, which way it goes. In the story, this is the
// chef who writes the bill before anything is cooked.
//
// The trade-off of whole cents: every share needs a rule of rounding, and the
// rule here is one of several that are in use. Others round tax per line, or half
// to the even cent; what a country's law asks for, the law says. Prices are net,
// and one rate holds for all dishes.
//
// Source: M. Fowler, "Patterns of Enterprise Application Architecture", Money;
// ISO 4217 for currencies and their smallest units.
package pricing

import (
	"errors"
	"fmt"
	"math"

	"clicktocode.example/05-business-logic/order"
)

// Discount is what is taken off the subtotal, in basis points, hundredths of a
// percent: 250 are 2.5 %. It is 0 to 10,000, which is all of it.
type Discount int

// Rate is a tax, in basis points of what is left after the discount: 1,900 are
// 19 %. It is 0 to 10,000.
type Rate int

// whole is all of an amount, in basis points.
const whole = 10_000

// ErrOverflow says that an amount is beyond what an int64 can hold.
var ErrOverflow = errors.New("pricing: amount too large")

// Price looks up items in menu and says what they cost: a line for each item, in
// the same order, and the totals.
//
//	Line.Total = Unit × Quantity
//	Subtotal   = the lines' sum
//	Discount   = discount × Subtotal, rounded
//	Tax        = tax × (Subtotal − Discount), rounded
//	Total      = Subtotal − Discount + Tax
//
// It rounds twice an order, once for the discount and once for the tax, on the
// sums and never on a line. It rounds to the nearest cent (the currency's
// smallest unit), and half a cent up.
//
// What is wrong with items is an *order.InvalidError for each fault, all of them
// joined. An amount that an int64 cannot hold is ErrOverflow. A discount or rate
// out of its bounds, a price below 0, or two currencies in one order are the
// restaurant's fault and not the customer's: another error. With an error come no
// lines, and no totals. Price changes neither slice, and may be called by many
// goroutines at once.
func Price(items []order.Item, menu []order.Dish, discount Discount, tax Rate) ([]order.Line, order.Totals, error) {
	//workshop:begin return nil, order.Totals{}, nil
	//workshop:todo Let find check and look up. Then each line's total, and their sum, where
	//workshop:todo plus and times see what does not fit. Then the discount, the tax on what
	//workshop:todo is left, and the total. Every amount has the dishes' currency.
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
	off := share(subtotal, int64(discount))
	taxed := share(subtotal-off, int64(tax)) // of what is paid: nobody owes tax on money that was let off
	total, fits := plus(subtotal-off, taxed)
	if !fits {
		return nil, order.Totals{}, fmt.Errorf("%w: %d and tax of %d", ErrOverflow, subtotal-off, taxed)
	}
	money := func(amount int64) order.Money { return order.Money{Amount: amount, Currency: currency} }
	return lines, order.Totals{Subtotal: money(subtotal), Discount: money(off), Tax: money(taxed), Total: money(total)}, nil
	//workshop:end
}

// share returns so many basis points of amount, rounded to the nearest whole, and
// a half up. Both are 0 or more, points is at most 10,000, and then the share
// always fits.
func share(amount, points int64) int64 {
	//workshop:begin return -1
	//workshop:todo points × amount / 10,000 alone rounds down, and points × amount may not
	//workshop:todo fit where the share does. Whole ten thousands and the rest, each for itself?
	return amount/whole*points + (amount%whole*points+whole/2)/whole
	//workshop:end
}

// plus returns a + b, and whether that fits. Neither is below 0.
func plus(a, b int64) (sum int64, fits bool) {
	//workshop:begin return 0, true
	//workshop:todo Go wraps round without a word. Look before, or look at what came out.
	return a + b, a <= math.MaxInt64-b
	//workshop:end
}

// times returns a × b, and whether that fits. Neither is below 0.
func times(a, b int64) (product int64, fits bool) {
	//workshop:begin return 0, true
	//workshop:todo The same. When a division tells, see to it that it is not by 0.
	return a * b, b == 0 || a <= math.MaxInt64/b
	//workshop:end
}

// find returns the dish of each item. If there is anything wrong with what Price
// was given, it returns no dishes, and the error that is due.
func find(items []order.Item, menu []order.Dish, discount Discount, tax Rate) ([]order.Dish, error) {
	if discount < 0 || discount > whole || tax < 0 || tax > whole {
		return nil, fmt.Errorf("pricing: discount %d and tax %d must be 0 to %d basis points", discount, tax, whole)
	}
	if len(items) < 1 || len(items) > order.MaxLines {
		return nil, &order.InvalidError{Field: "lines", What: fmt.Sprintf("an order has 1 to %d lines, not %d", order.MaxLines, len(items))}
	}
	sold := make(map[string]order.Dish, len(menu))
	for _, dish := range menu {
		sold[dish.ID] = dish
	}
	var faults []error
	fault := func(i int, field, what string, args ...any) {
		faults = append(faults, &order.InvalidError{Field: fmt.Sprintf("lines[%d].%s", i, field), What: fmt.Sprintf(what, args...)})
	}
	dishes := make([]order.Dish, len(items))
	first := make(map[string]int, len(items))
	for i, item := range items {
		dish, there := sold[item.Dish]
		switch at, again := first[item.Dish]; {
		case !there:
			fault(i, "dish", "%.40q is not on the menu", item.Dish)
		case again:
			fault(i, "dish", "%q is in lines[%d] already", item.Dish, at)
		default:
			first[item.Dish] = i
		}
		if item.Quantity < 1 || item.Quantity > order.MaxQuantity {
			fault(i, "quantity", "must be 1 to %d, not %d", order.MaxQuantity, item.Quantity)
		}
		dishes[i] = dish
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, dish := range dishes {
		if dish.Price.Amount < 0 || dish.Price.Currency == "" || dish.Price.Currency != dishes[0].Price.Currency {
			return nil, fmt.Errorf("pricing: the menu has dish %q at %v, and dish %q at %v", dish.ID, dish.Price, dishes[0].ID, dishes[0].Price)
		}
	}
	return dishes, nil
}
