//go:build ignore

// It takes each error for one that passes. An address that does not exist will not exist
// tomorrow either, and each attempt costs the good name at the provider.
//
//workshop:caught-by TestWork/sets_poison_aside
//workshop:says each further attempt is in vain
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
		case job.Attempts >= c.Attempts:
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
