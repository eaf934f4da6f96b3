//go:build ignore

// It has no limit. A mail that can never be sent, and whose error does not say so, is tried
// each hour from now on, and the next one beside it.
//
//workshop:caught-by TestWork/gives_up_in_the_end
//workshop:says tried for ever
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
		if job.Attempts > c.Attempts {
			err = fmt.Errorf("worker: %w: no attempt came to an end", order.ErrInvalid)
		} else {
			err = send(ctx, mailer, job, c.Timeout)
		}
		switch {
		case err == nil:
			err, done.Sent = noteSent(ctx, db, job), done.Sent+1
		case errors.Is(err, order.ErrInvalid):
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
