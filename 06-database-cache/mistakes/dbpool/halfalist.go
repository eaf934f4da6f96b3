//go:build ignore

// It takes the end of the rows for the end of the answer. Next is false as well
// when the connection broke or the server gave up in the middle: half a list looks
// like a whole one, and whoever counts dishes by it buys too many.
//
//workshop:caught-by TestEach/reports_rows_that_end_early
//workshop:says Next is false for an error, too; ask Err after it
package dbpool

import (
	"context"

	"github.com/jmoiron/sqlx"
)

func Each(ctx context.Context, db sqlx.QueryerContext, query string, args []any, row func(*sqlx.Rows) error) error {
	rows, err := db.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return nil
}
