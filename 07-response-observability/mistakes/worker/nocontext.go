//go:build ignore

// Its statement does not know of the context. As long as somebody has the table locked,
// the worker waits for it, also when it was told to end long ago.
//
//workshop:caught-by TestWork/stops_waiting_for_the_database_when_its_context_ends
//workshop:says The statement gets ctx, too
package worker

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func take(ctx context.Context, db *sqlx.DB, lease time.Duration) (Job, error) {
	return scan(db.QueryRowx(`UPDATE outbox SET due = now() + $1 * interval '1 microsecond', attempts = attempts + 1
		WHERE id = (
			SELECT id FROM outbox WHERE sent IS NULL AND NOT dead AND due <= now()
			ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, key, "to", subject, text, attempts`, lease.Microseconds()))
}
