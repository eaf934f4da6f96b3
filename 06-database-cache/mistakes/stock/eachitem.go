//go:build ignore

// It compares each item with what is left, for itself. A dish that comes in two items
// is looked at twice, and each time there is enough.
//
//workshop:caught-by TestReserve/adds_up_a_dish_that_comes_twice
//workshop:says their sum is needed
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
	err := tx.SelectContext(ctx, &rows, `SELECT id, stock FROM dishes WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`, dishes)
	if err != nil {
		return err
	}
	left := map[string]int{}
	for _, row := range rows {
		left[row.ID] = row.Stock
	}
	for _, item := range items {
		if item.Quantity > left[item.Dish] {
			return &order.SoldOutError{Dish: item.Dish, Left: left[item.Dish]}
		}
	}
	_, err = tx.ExecContext(ctx, takeItems, id, dishes, quantities)
	return err
}
