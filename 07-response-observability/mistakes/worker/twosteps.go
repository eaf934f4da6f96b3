//go:build ignore

// It looks for a row, and takes it in a second statement. FOR UPDATE locks the row for as
// long as the statement's transaction lasts, and that ends with the SELECT. The other
// worker, which comes in between, finds the same row.
//
//workshop:caught-by TestWork/two_that_take_at_once_take_two
//workshop:says between two statements, the other worker finds the same row
package worker

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func take(ctx context.Context, db *sqlx.DB, lease time.Duration) (Job, error) {
	var id int64
	err := db.GetContext(ctx, &id, `SELECT id FROM outbox WHERE sent IS NULL AND NOT dead AND due <= now()
		ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED`)
	if err != nil {
		return Job{}, err
	}
	return scan(db.QueryRowxContext(ctx, `UPDATE outbox SET due = now() + $1 * interval '1 microsecond', attempts = attempts + 1
		WHERE id = $2 RETURNING id, key, "to", subject, text, attempts`, lease.Microseconds(), id))
}
