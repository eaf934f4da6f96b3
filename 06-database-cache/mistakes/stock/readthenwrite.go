//go:build ignore

// It reads how many there are, and then takes them. Between the two, another buyer
// reads the same number, and takes them as well: check, then act. The row must be
// locked when it is read, so that the next one reads it when the first has committed.
//
//workshop:caught-by TestReserve/two_buyers_of_the_last_one_get_one_read_committed
//workshop:says lock the row when you read it (FOR UPDATE)
package stock

import (
	"context"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
)

func take(ctx context.Context, tx *sqlx.Tx, id string, items []order.Item) error {
	dishes, quantities := columns(items)
	var rows []struct {
		ID    string
		Stock int
	}
	if err := tx.SelectContext(ctx, &rows, `SELECT id, stock FROM dishes WHERE id = ANY ($1::text[]) ORDER BY id`, dishes); err != nil {
		return err
	}
	left, needed := map[string]int{}, map[string]int{}
	for _, row := range rows {
		left[row.ID] = row.Stock
	}
	for _, item := range items {
		if needed[item.Dish] += item.Quantity; needed[item.Dish] > left[item.Dish] {
			return &order.SoldOutError{Dish: item.Dish, Left: left[item.Dish]}
		}
	}
	_, err := tx.ExecContext(ctx, takeItems, id, dishes, quantities)
	return err
}
