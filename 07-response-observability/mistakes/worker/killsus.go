//go:build ignore

// It sends what it has taken, however often that was taken before. A mail that makes its
// worker crash makes the next one crash, too, and the next: nothing else is sent any more.
//
//workshop:caught-by TestWork/sets_aside_what_kills_its_workers
//workshop:says no worker has lived to note
package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func Work(ctx context.Context, db *sqlx.DB, mailer order.Mailer, c Config) (Result, error) {
	c = c.filled()
	var done Result
	for range c.Batch {
		if err := ctx.Err(); err != nil {
			return done, fmt.Errorf("worker: %w", err)
		}
		job, err := take(ctx, db, c.Lease)
		if errors.Is(err, sql.ErrNoRows) {
			return done, nil
		} else if err != nil {
			return done, fmt.Errorf("worker: take: %w", pgfault.Of(ctx, err))
		}
		err = send(ctx, mailer, job, c.Timeout)
		switch {
		case err == nil:
			err, done.Sent = noteSent(ctx, db, job), done.Sent+1
		case errors.Is(err, order.ErrInvalid) || job.Attempts >= c.Attempts:
			err, done.Dead = noteDead(ctx, db, job, err), done.Dead+1
		default:
			err, done.Later = noteLater(ctx, db, job, wait(c, job.Attempts), err), done.Later+1
		}
		if err != nil {
			return done, fmt.Errorf("worker: note: %w", pgfault.Of(ctx, err))
		}
	}
	return done, nil
}
