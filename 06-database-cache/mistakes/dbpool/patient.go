//go:build ignore

// It waits for a connection as long as the customer does. When the database is slow,
// all connections are in use, and everybody waits, with what they hold: memory, and
// a place in the queue. An error after a moment frees all that.
//
//workshop:caught-by TestAcquire/says_in_time_that_none_is_free
//workshop:says Without an end of its own, the wait lasts as long as the customer does
package dbpool

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func Acquire(ctx context.Context, db *sqlx.DB, wait time.Duration) (*sqlx.Conn, error) {
	return db.Connx(ctx)
}
