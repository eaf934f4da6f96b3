//go:build ignore

// It takes a COMMIT whose answer did not come for one that failed, like any other
// statement. The server may have done it. A caller who reads "nothing was done"
// pays the money back, and the order is in the books, and will be cooked.
//
//workshop:caught-by TestCreate/a_connection_lost_at_COMMIT_says_that_nobody_knows
//workshop:says the order is kept, and Create cannot know
package createorder

import (
	"context"

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
	if _, err := tx.ExecContext(ctx, insertLines, lineRows(o)...); err != nil {
		return failed(ctx, o, "insert lines", err)
	}
	for _, f := range also {
		if err := f(ctx, tx); err != nil {
			return failed(ctx, o, "also", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return failed(ctx, o, "commit", err)
	}
	return nil
}
