//go:build ignore

// It commits what it has written. The transaction is the caller's, who has not finished:
// what comes after is no part of it any more, and cannot be undone together with it.
//
//workshop:caught-by TestEnqueue/is_there_after_the_commit
//workshop:says the caller commits, and nobody else
package enqueue

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func (b *Outbox) Enqueue(ctx context.Context, tx *sqlx.Tx, m order.Mail) error {
	if err := complete(m); err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text)
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
