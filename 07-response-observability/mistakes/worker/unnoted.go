//go:build ignore

// It does not look at the error of its notes. The mail was sent, nobody knows it, and it
// is sent again; and who runs the worker sees nothing but rising numbers of mails.
//
//workshop:caught-by TestWork/says_that_the_database_is_away
//workshop:says what became of it could not be noted
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
			done.Sent++
			_ = noteSent(ctx, db, job)
		case errors.Is(err, order.ErrInvalid) || job.Attempts >= c.Attempts:
			done.Dead++
			_ = noteDead(ctx, db, job, err)
		default:
			done.Later++
			_ = noteLater(ctx, db, job, wait(c, job.Attempts), err)
		}
	}
	return done, nil
}
