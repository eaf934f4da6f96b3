package pricing_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/pricing"
)

// The same orders are drawn each time: a verdict depends on no luck. Flags of the
// command line (-rapid.seed, -rapid.checks) come later, and win.
func init() {
	for name, value := range map[string]string{"rapid.seed": "5", "rapid.checks": "200", "rapid.shrinktime": "300ms", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

func euro(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }

// menu is what the worked examples order from. Its odd prices leave parts of a
// cent behind, one way or the other.
var menu = []order.Dish{
	{ID: "ramen", Name: "Ramen", Price: euro(1250)},
	{ID: "curry", Name: "Curry", Price: euro(1035)},
	{ID: "tea", Name: "Green tea", Price: euro(310)},
	{ID: "dumpling", Name: "Dumpling", Price: euro(105)},
	{ID: "olive", Name: "One olive", Price: euro(5)},
	{ID: "bread", Name: "Bread", Price: euro(0)},
}

func yen(amount int64) order.Money { return order.Money{Amount: amount, Currency: "JPY"} }

// kyoto is another restaurant's menu.
var kyoto = []order.Dish{{ID: "sushi", Name: "Sushi", Price: yen(900)}, {ID: "miso", Name: "Miso soup", Price: yen(250)}}

func items(of ...any) []order.Item {
	var all []order.Item
	for i := 0; i < len(of); i += 2 {
		all = append(all, order.Item{Dish: of[i].(string), Quantity: of[i+1].(int)})
	}
	return all
}

func TestLines(t *testing.T) {
	t.Run("has_a_line_for_each_item_in_the_same_order", func(t *testing.T) {
		lines, _ := price(t, items("tea", 1, "ramen", 1), menu, 0, 0)
		require.Len(t, lines, 2, "Price of 1 tea and 1 ramen: an item makes a line")
		assert.Equal(t, []string{"tea", "ramen"}, []string{lines[0].Dish, lines[1].Dish}, "Price of 1 tea and 1 ramen: the lines stand in the order of the items, not in the menu's")
	})

	t.Run("a_line_costs_its_unit_price_times_its_quantity", func(t *testing.T) {
		lines, _ := price(t, items("ramen", 3), menu, 0, 0)
		require.Len(t, lines, 1, "Price of 3 ramen: an item makes a line")
		assert.Equal(t, euro(3750), lines[0].Total, "Price of 3 ramen at 1250 cents: a line's Total is Unit × Quantity, with the dish's currency")
	})

	t.Run("a_line_keeps_name_price_and_quantity_as_they_were_when_ordered", func(t *testing.T) {
		lines, _ := price(t, items("ramen", 3), menu, 0, 0)
		require.Len(t, lines, 1, "Price of 3 ramen: an item makes a line")
		got := lines[0]
		got.Total = order.Money{} // another test's
		assert.Equal(t, order.Line{Dish: "ramen", Name: "Ramen", Quantity: 3, Unit: euro(1250)}, got, "Price of 3 ramen: a line holds Dish, Name, Quantity and Unit as the menu has them today, since the menu may change and an order does not")
	})

	t.Run("a_line_has_the_currency_of_its_dish", func(t *testing.T) {
		lines, _ := price(t, items("sushi", 2), kyoto, 0, 0)
		require.Len(t, lines, 1, "Price of 2 sushi: an item makes a line")
		assert.Equal(t, yen(1800), lines[0].Total, "Price of 2 sushi at 900 yen: the line's Total is in the currency that stands on the menu, JPY, whatever the other tests' dishes cost")
	})
}

// TestTotals has the worked examples of the lesson.
func TestTotals(t *testing.T) {
	for _, test := range []struct {
		name                           string
		items                          []order.Item
		discount                       pricing.Discount
		tax                            pricing.Rate
		subtotal, off, taxed, total    int64
		discountWorked, taxWorked, why string
	}{
		{
			"sums_the_lines", items("ramen", 2, "tea", 1), 0, 0,
			2810, 0, 0, 2810, "none", "none",
			"the subtotal is the sum of the lines, 2 × 1250 + 1 × 310",
		},
		{
			"adds_tax", items("ramen", 2), 0, 1900,
			2500, 0, 475, 2975, "none", "19 % of 2500 = 475",
			"1900 basis points are 19 %, and tax is added",
		},
		{
			"takes_the_discount_off", items("ramen", 2), 1000, 0,
			2500, 250, 0, 2250, "10 % of 2500 = 250", "none",
			"1000 basis points are 10 %. The discount is a positive amount, and is taken off",
		},
		{
			"rounds_less_than_half_a_cent_down", items("dumpling", 1), 0, 700,
			105, 0, 7, 112, "none", "7 % of 105 = 7.35, so 7",
			"a share is rounded to the nearest cent",
		},
		{
			"rounds_more_than_half_a_cent_up", items("tea", 1), 0, 700,
			310, 0, 22, 332, "none", "7 % of 310 = 21.70, so 22",
			"a share is rounded to the nearest cent. Division of integers cuts off what is left over",
		},
		{
			"rounds_half_a_cent_of_tax_up", items("olive", 1), 0, 1000,
			5, 0, 1, 6, "none", "10 % of 5 = 0.50, so 1",
			"half a cent goes up, also where the even neighbour is below (0.50 is not 0)",
		},
		{
			"rounds_half_a_cent_of_discount_up", items("olive", 1), 5000, 0,
			5, 3, 0, 2, "50 % of 5 = 2.50, so 3", "none",
			"half a cent goes up, also where the even neighbour is below (2.50 is not 2)",
		},
		{
			"sees_half_a_cent_where_a_float64_does_not", items("curry", 1), 0, 1000,
			1035, 0, 104, 1139, "none", "10 % of 1035 = 103.50, so 104",
			"half a cent goes up. 10.35 × 0.1 × 100 in float64 is 103.49999999999999, and would go down: count in whole cents, as integers",
		},
		{
			"taxes_what_is_left_after_the_discount", items("ramen", 2), 1000, 1900,
			2500, 250, 428, 2678, "10 % of 2500 = 250", "19 % of 2250 = 427.50, so 428",
			"Tax = tax × (Subtotal − Discount): nobody owes tax on what was let off. Taken off behind the tax, the discount is 10 % of 2975 instead",
		},
		{
			"rounds_the_sum_and_not_the_lines", items("olive", 1, "dumpling", 1, "ramen", 1), 0, 1000,
			1360, 0, 136, 1496, "none", "10 % of 1360 = 136; line by line it would be 1 + 11 + 125 = 137",
			"round once, at the end: what each line is rounded by adds up",
		},
		{
			"discounts_the_sum_and_not_the_lines", items("olive", 1, "dumpling", 1, "ramen", 1), 1000, 0,
			1360, 136, 0, 1224, "10 % of 1360 = 136; line by line it would be 1 + 11 + 125 = 137", "none",
			"round once, at the end: what each line is rounded by adds up",
		},
		{
			"lets_all_of_it_off", items("ramen", 1, "tea", 1), 10_000, 1900,
			1560, 1560, 0, 0, "100 % of 1560", "19 % of 0",
			"10,000 basis points are everything, and nothing is left to tax",
		},
		{
			"has_dishes_that_cost_nothing", items("bread", 7, "tea", 1), 0, 1000,
			310, 0, 31, 341, "none", "10 % of 310 = 31",
			"a price of 0 is a price",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, totals := price(t, test.items, menu, test.discount, test.tax)
			worked := fmt.Sprintf("%s, discount %d and tax %d basis points.\ndiscount: %s\ntax:      %s\n%s", asked(test.items), test.discount, test.tax, test.discountWorked, test.taxWorked, test.why)
			want := order.Totals{Subtotal: euro(test.subtotal), Discount: euro(test.off), Tax: euro(test.taxed), Total: euro(test.total)}
			require.Equal(t, shown(want), shown(totals), "Price of %s", worked)
		})
	}

	t.Run("has_the_currency_of_the_dishes", func(t *testing.T) {
		_, totals := price(t, items("sushi", 2, "miso", 1), kyoto, 1000, 800)
		want := order.Totals{Subtotal: yen(2050), Discount: yen(205), Tax: yen(148), Total: yen(1993)}
		require.Equal(t, shown(want), shown(totals), "Price of 2 sushi at 900 yen and 1 miso soup at 250, discount 1000 and tax 800 basis points: every amount is in the currency that stands on the menu, JPY. (8 % of 1845 = 147.60, so 148)")
	})
}

func TestOverflow(t *testing.T) {
	huge := []order.Dish{
		{ID: "half", Name: "Half of all", Price: euro(math.MaxInt64/2 + 1)},
		{ID: "other", Name: "The other half", Price: euro(math.MaxInt64/2 + 1)},
		{ID: "third", Name: "A third", Price: euro(math.MaxInt64 / 3)},
		{ID: "quarter", Name: "About a quarter", Price: euro(2_400_000_000_000_000_000)},
		{ID: "most", Name: "Most", Price: euro(math.MaxInt64)},
		{ID: "rest", Name: "A coin", Price: euro(1)},
	}
	overflows := func(name string, items []order.Item, tax pricing.Rate, where string) {
		t.Run(name, func(t *testing.T) {
			lines, totals, err := call(t, items, huge, 0, tax)
			require.ErrorIs(t, err, pricing.ErrOverflow, "Price of %s, tax %d: %s. It must be ErrOverflow, never a wrong price (got total %v, lines %v)", asked(items), tax, where, totals.Total, lines)
		})
	}
	overflows("a_line_that_does_not_fit_is_an_error", items("half", 2), 0, "2 × 4611686018427387904 is 1 more than an int64 can hold, and Go wraps round to -9223372036854775808")
	overflows("a_line_that_wraps_round_to_a_positive_amount_is_an_error", items("third", 7), 0, "7 × 3074457345618258602 does not fit, and Go wraps round to 3074457345618258598, which looks like a price")
	overflows("a_line_that_wraps_round_to_0_is_an_error", items("half", 4), 0, "4 × 4611686018427387904 does not fit, and Go wraps round to 0: dinner would be free")
	overflows("a_line_that_wraps_round_to_more_than_one_costs_is_an_error", items("quarter", 9), 0, "9 × 2400000000000000000 does not fit, and Go wraps round to 3153255926290448384: more than one of them costs, and wrong all the same")
	overflows("a_sum_that_does_not_fit_is_an_error", items("half", 1, "other", 1), 0, "each line fits, and their sum does not")

	t.Run("the_largest_amount_that_fits_has_a_price", func(t *testing.T) {
		_, totals := price(t, items("most", 1), huge, 0, 0)
		require.Equal(t, euro(math.MaxInt64), totals.Total, "Price of 1 dish at the largest int64, without tax: it fits")
	})

	t.Run("a_share_of_an_amount_fits_where_points_times_amount_does_not", func(t *testing.T) {
		_, totals := price(t, items("most", 1), huge, 5000, 10_000)
		want := order.Totals{Subtotal: euro(math.MaxInt64), Discount: euro(math.MaxInt64/2 + 1), Tax: euro(math.MaxInt64 / 2), Total: euro(math.MaxInt64 - 1)}
		require.Equal(t, shown(want), shown(totals), "Price of 1 dish at the largest int64, discount 5000 and tax 10000 basis points: each of the four amounts fits, though 5000 × 9223372036854775807, on the way there, does not")
	})

	// Behind the one above: a share that wraps round may make a total that fits.
	overflows("a_total_that_does_not_fit_is_an_error", items("most", 1), 1, "the subtotal fits, and with the tax it does not")

	for _, test := range []struct {
		name  string
		items []order.Item
		tax   pricing.Rate
		where string
	}{
		{"no_lines_come_with_a_line_that_does_not_fit", items("rest", 1, "half", 2), 0, "the first line fits, and the second does not"},
		{"no_lines_come_with_a_sum_that_does_not_fit", items("half", 1, "other", 1), 0, "each line fits, and their sum does not"},
		{"no_lines_come_with_a_total_that_does_not_fit", items("most", 1), 1, "the subtotal fits, and with the tax it does not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines, totals, err := call(t, test.items, huge, 0, test.tax)
			require.ErrorIs(t, err, pricing.ErrOverflow, "Price of %s, tax %d: %s", asked(test.items), test.tax, test.where)
			assert.Empty(t, lines, "Price of %s, tax %d: %s. With an error come no lines: who forgets to look at it would sell what they say", asked(test.items), test.tax, test.where)
			assert.Zero(t, totals, "Price of %s, tax %d: %s. With an error come no totals: who forgets to look at it would charge what they say", asked(test.items), test.tax, test.where)
		})
	}
}

func TestFaults(t *testing.T) {
	t.Run("the_customers_faults_are_told_all_at_once", func(t *testing.T) {
		asked := items("pizza", 1, "tea", 0, "ramen", 1, "ramen", 101)
		_, _, err := call(t, asked, menu, 0, 0)
		require.ErrorIs(t, err, order.ErrInvalid, "Price of pizza, which is not on the menu, 0 tea, and ramen twice: an order that is at fault has no price, but an InvalidError for each fault. find returns them; pass them on")
		for _, field := range []string{"lines[0].dish", "lines[1].quantity", "lines[3].dish", "lines[3].quantity"} {
			assert.Contains(t, err.Error(), field, "Price of pizza, which is not on the menu, 0 tea, and ramen twice, the second time 101: each fault is named with its field, and all at once, so that nobody has to send an order five times")
		}
	})

	t.Run("an_order_without_items_is_invalid", func(t *testing.T) {
		for _, empty := range [][]order.Item{nil, {}} {
			_, _, err := call(t, empty, menu, 0, 0)
			require.ErrorIs(t, err, order.ErrInvalid, "Price of no items at all (%#v): an order has 1 to %d lines, and what is not one is an InvalidError", empty, order.MaxLines)
		}
	})

	t.Run("a_fault_of_the_restaurant_is_not_the_customers", func(t *testing.T) {
		mixed := append(slices.Clone(menu), order.Dish{ID: "sushi", Name: "Sushi", Price: order.Money{Amount: 900, Currency: "JPY"}}, order.Dish{ID: "void", Name: "Void", Price: euro(-1)})
		for _, test := range []struct {
			items    []order.Item
			discount pricing.Discount
			tax      pricing.Rate
			what     string
		}{
			{items("tea", 1, "sushi", 1), 0, 0, "tea in EUR and sushi in JPY: amounts of two currencies are never added"},
			{items("void", 1), 0, 0, "a dish at -1"},
			{items("tea", 1), 10_001, 0, "a discount of more than all of it"},
			{items("tea", 1), -1, 0, "a discount below 0"},
			{items("tea", 1), 0, -1, "a tax below 0"},
		} {
			_, _, err := call(t, test.items, mixed, test.discount, test.tax)
			require.Error(t, err, "Price with %s: that has no price. find sees it; pass its error on", test.what)
			require.False(t, errors.Is(err, order.ErrInvalid), "Price with %s: the customer can do nothing about it, so it is not an InvalidError: %v", test.what, err)
		}
	})

	t.Run("with_an_error_come_no_lines_and_no_totals", func(t *testing.T) {
		lines, totals, err := call(t, items("tea", 1, "tea", 1), menu, 0, 0)
		require.Error(t, err, "Price of tea, twice: an order has another dish on each line")
		assert.Empty(t, lines, "Price of tea, twice, returned %v: with an error come no lines", err)
		assert.Zero(t, totals, "Price of tea, twice, returned %v: with an error come no totals", err)
	})
}

// TestProperties draws orders at random, and says what holds for all of them. What
// fails is made as small as it can be before it is shown.
func TestProperties(t *testing.T) {
	property(t, "the_lines_sum_to_the_subtotal", "Subtotal is the sum of the lines' Totals",
		func(d drawn, lines []order.Line, totals order.Totals) (bool, string) {
			var sum int64
			for _, line := range lines {
				sum += line.Total.Amount
			}
			return len(lines) == len(d.items) && totals.Subtotal.Amount == sum, fmt.Sprintf("the %d lines sum to %d", len(lines), sum)
		})

	property(t, "the_total_is_subtotal_less_discount_plus_tax", "Total = Subtotal − Discount + Tax, to the cent, and nothing else",
		func(d drawn, lines []order.Line, totals order.Totals) (bool, string) {
			sum := totals.Subtotal.Amount - totals.Discount.Amount + totals.Tax.Amount
			return len(lines) > 0 && totals.Total.Amount == sum, fmt.Sprintf("Subtotal − Discount + Tax = %d, from %d lines", sum, len(lines))
		})

	property(t, "the_discount_is_never_more_than_the_subtotal", "0 <= Discount <= Subtotal: nobody is paid for eating",
		func(d drawn, lines []order.Line, totals order.Totals) (bool, string) {
			return len(lines) > 0 && totals.Discount.Amount >= 0 && totals.Discount.Amount <= totals.Subtotal.Amount, fmt.Sprintf("%d lines", len(lines))
		})

	property(t, "discount_and_tax_are_the_exact_shares_rounded_half_up", "a share is rounded once, to the nearest cent, and half a cent up",
		func(d drawn, lines []order.Line, totals order.Totals) (bool, string) {
			off := exact(totals.Subtotal.Amount, int64(d.discount))
			taxed := exact(totals.Subtotal.Amount-totals.Discount.Amount, int64(d.tax))
			return len(lines) > 0 && totals.Discount.Amount == off && totals.Tax.Amount == taxed,
				fmt.Sprintf("by exact fractions (math/big), the discount is %d and the tax %d", off, taxed)
		})

	property(t, "the_items_order_changes_no_total", "the same dishes cost the same, whichever comes first",
		func(d drawn, lines []order.Line, totals order.Totals) (bool, string) {
			turned := slices.Clone(d.items)
			slices.Reverse(turned)
			_, other, err := pricing.Price(turned, d.menu, d.discount, d.tax)
			return len(lines) > 0 && err == nil && other == totals, fmt.Sprintf("the other way round: %s, error %v, %d lines", shown(other), err, len(lines))
		})
}

// drawn is an order as it was drawn at random.
type drawn struct {
	items    []order.Item
	menu     []order.Dish
	discount pricing.Discount
	tax      pricing.Rate
}

// draw draws menus with prices from nothing to a house, and orders from them.
func draw(t *rapid.T) drawn {
	var d drawn
	prices := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 10_000), rapid.Int64Range(0, 1<<48)), 1, order.MaxLines).Draw(t, "prices")
	for i, cents := range prices {
		id := fmt.Sprintf("dish%d", i)
		d.menu = append(d.menu, order.Dish{ID: id, Name: strings.ToUpper(id), Price: euro(cents)})
		d.items = append(d.items, order.Item{Dish: id, Quantity: rapid.IntRange(1, order.MaxQuantity).Draw(t, "quantity")})
	}
	d.discount = pricing.Discount(rapid.IntRange(0, 10_000).Draw(t, "discount"))
	d.tax = pricing.Rate(rapid.IntRange(0, 10_000).Draw(t, "tax"))
	return d
}

// property checks that holds holds for a few hundred orders, and shows the smallest
// one found for which it does not.
func property(t *testing.T, name, rule string, holds func(d drawn, lines []order.Line, totals order.Totals) (bool, string)) {
	t.Run(name, func(t *testing.T) {
		var failed string
		finish(t, func() {
			// Check fails the test that it is given, and says more than a learner needs:
			// so it works on a stand-in, and what it found is told here.
			rapid.Check(quiet{t}, func(rt *rapid.T) {
				d := draw(rt)
				failed = fmt.Sprintf("Price of %s panicked", d) // rapid stops a panic
				lines, totals, err := pricing.Price(slices.Clone(d.items), slices.Clone(d.menu), d.discount, d.tax)
				if err != nil {
					failed = fmt.Sprintf("Price of %s returned an error, and all of it fits: %v", d, err)
					rt.Fatal()
				}
				if ok, found := holds(d, lines, totals); !ok {
					failed = fmt.Sprintf("Price of %s returned\n%s\n%s.\n%s", d, shown(totals), found, rule)
					rt.Fatal()
				}
				failed = ""
			})
		})
		if failed != "" {
			require.Fail(t, "does not hold for every order", failed)
		}
	})
}

func (d drawn) String() string {
	var text strings.Builder
	for i, item := range d.items {
		if i == 5 {
			fmt.Fprintf(&text, "and %d more, ", len(d.items)-i)
			break
		}
		fmt.Fprintf(&text, "%d × %d cents, ", item.Quantity, d.menu[i].Price.Amount)
	}
	return fmt.Sprintf("%sdiscount %d and tax %d basis points", text.String(), d.discount, d.tax)
}

// quiet lets rapid look for a counterexample, and keeps its report to itself.
type quiet struct{ rapid.TB }

func (quiet) Helper()               {}
func (quiet) Log(...any)            {}
func (quiet) Logf(string, ...any)   {}
func (quiet) Error(...any)          {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
func (quiet) Fatal(...any)          {}
func (quiet) FailNow()              {}
func (quiet) Fail()                 {}
func (quiet) Failed() bool          { return false }
func (quiet) Name() string          { return "quiet" }

// exact is points / 10,000 of amount, rounded half up, by fractions without end.
func exact(amount, points int64) int64 {
	share := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(amount), big.NewInt(points)), big.NewInt(10_000))
	share.Add(share, big.NewRat(1, 2))
	return new(big.Int).Quo(share.Num(), share.Denom()).Int64() // cut off: floor, since it is not below 0
}

// price is call, for what has a price.
func price(t *testing.T, items []order.Item, menu []order.Dish, discount pricing.Discount, tax pricing.Rate) ([]order.Line, order.Totals) {
	t.Helper()
	lines, totals, err := call(t, items, menu, discount, tax)
	require.NoError(t, err, "Price of %s, discount %d and tax %d basis points: nothing is wrong with it", asked(items), discount, tax)
	return lines, totals
}

// call is Price, which may panic, or not come back, or change what it was given.
func call(t *testing.T, items []order.Item, menu []order.Dish, discount pricing.Discount, tax pricing.Rate) (lines []order.Line, totals order.Totals, err error) {
	t.Helper()
	itemsGiven, menuGiven := slices.Clone(items), slices.Clone(menu)
	finish(t, func() { lines, totals, err = pricing.Price(itemsGiven, menuGiven, discount, tax) })
	require.Equal(t, items, itemsGiven, "Price has changed the items that it was given: they are the caller's")
	require.Equal(t, menu, menuGiven, "Price has changed the menu that it was given: it is the caller's")
	return lines, totals, err
}

func asked(items []order.Item) string {
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprintf("%d %s", item.Quantity, item.Dish))
	}
	return strings.Join(all, " and ")
}

func shown(totals order.Totals) string {
	money := func(m order.Money) string { return fmt.Sprintf("%d %s", m.Amount, m.Currency) }
	return fmt.Sprintf("Subtotal %s, Discount %s, Tax %s, Total %s", money(totals.Subtotal), money(totals.Discount), money(totals.Tax), money(totals.Total))
}

// stuck is set when a call has not returned, so that the others need not be
// waited for.
var stuck atomic.Bool

// finish calls f, which has two seconds to return.
func finish(t *testing.T, f func()) {
	t.Helper()
	require.False(t, stuck.Load(), "not tried: an earlier call of Price has not returned")
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	select {
	case p := <-done:
		require.Nil(t, p, "Price panicked")
	case <-time.After(2 * time.Second):
		stuck.Store(true)
		require.Fail(t, "Price has not returned after two seconds")
	}
}
