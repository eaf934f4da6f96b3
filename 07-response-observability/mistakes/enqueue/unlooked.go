//go:build ignore

// It leaves it to the table's constraints to refuse a mail without a key. They do, and the
// order's transaction is at an end with it: no order, for want of a mail.
//
//workshop:caught-by TestEnqueue/refuses_a_mail_without_a_key
//workshop:says both are needed
package enqueue

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func (b *Outbox) Enqueue(ctx context.Context, tx *sqlx.Tx, m order.Mail) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text)
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
