//go:build ignore

// It takes each context.DeadlineExceeded for the pool's. But the caller's context
// may have a deadline, too, and its error is the same. A customer who has two
// milliseconds left is told that the pool is full, and so is the operator.
//
//workshop:caught-by TestAcquire/the_callers_deadline_is_not_the_pools
//workshop:says context.DeadlineExceeded may be of either context
package dbpool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

func Acquire(ctx context.Context, db *sqlx.DB, wait time.Duration) (*sqlx.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := db.Connx(waiting)
	if errors.Is(err, context.DeadlineExceeded) {
		stats := db.Stats()
		return nil, fmt.Errorf("%w: waited %s, %d of %d in use", ErrBusy, wait, stats.InUse, stats.MaxOpenConnections)
	}
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("dbpool: no connection: %w: %w", ctx.Err(), err)
	}
	return conn, err
}
