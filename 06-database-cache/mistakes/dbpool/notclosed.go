//go:build ignore

// It does not close the rows. At the last row they close themselves, so all looks
// well; but where reading stops early, they stay open and keep their connection. The
// pool has one less each time, until it has none.
//
//workshop:caught-by TestEach/frees_its_connection_when_rows_are_left
//workshop:says Rows that are not closed keep theirs for ever
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
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
