//go:build ignore

// It locks the table, so that nobody comes between its look and its INSERT. Nobody does.
// But the lock is kept until the order's COMMIT, and all other orders wait for that, each
// for the one before it.
//
//workshop:caught-by TestEnqueue/another_key_waits_for_nobody
//workshop:says one after the other
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
	_, err := tx.ExecContext(ctx, `LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE`)
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	var there bool
	err = tx.GetContext(ctx, &there, `SELECT EXISTS (SELECT FROM outbox WHERE key = $1)`, m.Key)
	if err == nil && !there {
		_, err = tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4)`, m.Key, m.To, m.Subject, m.Text)
	}
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
