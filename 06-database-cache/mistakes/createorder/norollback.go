//go:build ignore

// It returns where a statement fails, and does not roll back. Nothing is kept, so
// all looks well; but the transaction stays open, and with it its connection and
// the locks on its rows. After as many faults as the pool has connections, every
// request waits.
//
//workshop:caught-by TestCreate/frees_its_connection_after_a_fault
//workshop:says A transaction that is not rolled back keeps it
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
	if err := tx.Commit(); err != nil && !Refused(err) {
		return failed(ctx, o, "commit", fmt.Errorf("%w: %w", order.ErrUnknown, err))
	} else if err != nil {
		return failed(ctx, o, "commit", err)
	}
	return nil
}
