//go:build ignore

// It writes by the pool, which takes another connection: that commits by itself, at once.
// The mail is there before the order is, and stays when the order is rolled back.
//
//workshop:caught-by TestEnqueue/nobody_sees_it_before_the_commit
//workshop:says not by a connection of your own
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
	_, err := b.DB.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text)
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
