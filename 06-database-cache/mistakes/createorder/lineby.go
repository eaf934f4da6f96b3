//go:build ignore

// It sends a statement for each line. Each is a trip to the server and back, and
// an order of 50 lines holds its transaction, its connection and its locks for 50
// trips. One statement takes all lines, as arrays.
//
//workshop:caught-by TestCreate/keeps_fifty_lines_by_as_many_statements_as_one
//workshop:says insertLines takes all lines at once
package createorder

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
)

func Create(ctx context.Context, db Beginner, o order.Order, also ...func(context.Context, *sqlx.Tx) error) error {
	if err := oneCurrency(o); err != nil {
		return failed(ctx, o, "check", err)
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return failed(ctx, o, "begin", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, insertOrder, orderRow(o)...); err != nil {
		return failed(ctx, o, "insert", err)
	}
	for i, line := range o.Lines {
		_, err := tx.ExecContext(ctx, `INSERT INTO order_lines (order_id, position, dish, name, quantity, unit, total) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			o.ID, i, line.Dish, line.Name, line.Quantity, line.Unit.Amount, line.Total.Amount)
		if err != nil {
			return failed(ctx, o, "insert lines", err)
		}
	}
	for _, f := range also {
		if err := f(ctx, tx); err != nil {
			return failed(ctx, o, "also", err)
		}
	}
	if err := tx.Commit(); err != nil && !Refused(err) {
		return failed(ctx, o, "commit", fmt.Errorf("%w: %w", order.ErrUnknown, err))
	} else if err != nil {
		return failed(ctx, o, "commit", err)
	}
	return nil
}
