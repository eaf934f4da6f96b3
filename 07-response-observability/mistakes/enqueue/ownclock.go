//go:build ignore

// It writes the hour itself, by this machine's clock. The worker asks the database's. If
// this one is fast, the mail waits, though nothing is in its way; and no two replicas
// agree on which mail is the older.
//
//workshop:caught-by TestEnqueue/its_hour_is_the_databases
//workshop:says by the database's clock
package enqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func (b *Outbox) Enqueue(ctx context.Context, tx *sqlx.Tx, m order.Mail) error {
	if err := complete(m); err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text, due) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING`,
		m.Key, m.To, m.Subject, m.Text, time.Now())
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
