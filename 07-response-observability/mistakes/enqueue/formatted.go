//go:build ignore

// It writes the values into the statement's text. The first customer whose name has an
// apostrophe ends the text there, and gets no order. The second one knows SQL.
//
//workshop:caught-by TestEnqueue/keeps_an_apostrophe
//workshop:says Values go by $1
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
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO outbox (key, "to", subject, text) VALUES ('%s', '%s', '%s', '%s') ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text))
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
