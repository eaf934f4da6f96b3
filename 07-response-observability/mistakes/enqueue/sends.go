//go:build ignore

// It sends the mail at once, in the middle of the transaction. It cannot be called back if
// the order fails after it, and the order's locks are held for as long as the post takes.
//
//workshop:caught-by TestEnqueue/sends_nothing
//workshop:says cannot be called back
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
	if err := b.Mailer.Send(ctx, m); err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text)
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
