//go:build ignore

// It bounds the wait, and returns the context's error as it is. The caller reads
// "deadline exceeded", believes that its own time is over, and gives up, or blames
// the customer's network. Nobody reads that the pool was full.
//
//workshop:caught-by TestAcquire/says_in_time_that_none_is_free
//workshop:says dbpool: no connection is free
package dbpool

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

func Acquire(ctx context.Context, db *sqlx.DB, wait time.Duration) (*sqlx.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return db.Connx(waiting)
}
