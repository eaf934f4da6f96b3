//go:build ignore

// It locks the row that it takes, and does not say what to do when somebody else has it
// locked. So it waits for the other worker, though there are other mails to send.
//
//workshop:caught-by TestWork/passes_over_what_another_is_taking
//workshop:says not waited for
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
			ORDER BY due, id LIMIT 1 FOR UPDATE)
		RETURNING id, key, "to", subject, text, attempts`, lease.Microseconds()))
}
