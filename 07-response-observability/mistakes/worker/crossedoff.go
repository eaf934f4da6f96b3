//go:build ignore

// It crosses the mail off when it takes it, and sends it then. If that fails, or the worker
// dies, the mail stands there as sent, and nobody looks at it again.
//
//workshop:caught-by TestWork/tries_again_later
//workshop:says it is lost
package worker

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func take(ctx context.Context, db *sqlx.DB, lease time.Duration) (Job, error) {
	return scan(db.QueryRowxContext(ctx, `UPDATE outbox SET due = now() + $1 * interval '1 microsecond', attempts = attempts + 1, sent = now()
		WHERE id = (
			SELECT id FROM outbox WHERE sent IS NULL AND NOT dead AND due <= now()
			ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, key, "to", subject, text, attempts`, lease.Microseconds()))
}
