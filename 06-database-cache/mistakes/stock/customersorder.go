//go:build ignore

// It locks the dishes one by one, as the customer named them. One order has the
// aioli and waits for the zabaione, another has the zabaione and waits for the aioli:
// a deadlock, which the server breaks up after a second by ending one of them. In
// one order for all, it never comes to that.
//
//workshop:caught-by TestReserve/locks_in_one_order
//workshop:says lock the rows in one order (ORDER BY id), not in the customer's
package stock

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
)

func take(ctx context.Context, tx *sqlx.Tx, id string, items []order.Item) error {
	needed := map[string]int{}
	for _, item := range items {
		var left int
		err := tx.GetContext(ctx, &left, `SELECT stock FROM dishes WHERE id = $1 FOR UPDATE`, item.Dish)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if needed[item.Dish] += item.Quantity; needed[item.Dish] > left {
			return &order.SoldOutError{Dish: item.Dish, Left: left}
		}
	}
	dishes, quantities := columns(items)
	_, err := tx.ExecContext(ctx, takeItems, id, dishes, quantities)
	return err
}
