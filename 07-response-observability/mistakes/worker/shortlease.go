//go:build ignore

// It gives the lease in milliseconds, and the statement takes them for microseconds. Half a
// minute becomes thirty milliseconds: while this worker sends, another one takes the mail.
//
//workshop:caught-by TestWork/what_a_dead_worker_had_comes_back
//workshop:says the lease in a unit of its own
package worker

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func take(ctx context.Context, db *sqlx.DB, lease time.Duration) (Job, error) {
	return scan(db.QueryRowxContext(ctx, `UPDATE outbox SET due = now() + $1 * interval '1 microsecond', attempts = attempts + 1
		WHERE id = (
			SELECT id FROM outbox WHERE sent IS NULL AND NOT dead AND due <= now()
			ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, key, "to", subject, text, attempts`, lease.Milliseconds()))
}
