//go:build ignore

// It takes the end of wait for the pool's fault. But wait is over as well when the
// pool had room, and a server took the new connection and then said nothing. Who
// reads "busy" in the log at night makes the pool larger, and the database hangs.
//
//workshop:caught-by TestAcquire/a_server_that_says_nothing_is_no_busy_pool
//workshop:says That wait is over does not tell which it was
package dbpool

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

func Acquire(ctx context.Context, db *sqlx.DB, wait time.Duration) (*sqlx.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := db.Connx(waiting)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("dbpool: no connection: %w: %w", ctx.Err(), err)
	case waiting.Err() != nil:
		stats := db.Stats()
		return nil, fmt.Errorf("%w: waited %s, %d of %d in use", ErrBusy, wait, stats.InUse, stats.MaxOpenConnections)
	}
	return nil, err
}
