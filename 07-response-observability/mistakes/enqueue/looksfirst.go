//go:build ignore

// It looks whether the key is there, and inserts it if not. Between these two steps the
// same customer's other request is committed, on another replica: the INSERT fails, and the
// order with it.
//
//workshop:caught-by TestEnqueue/the_same_key_at_the_same_time_is_one_mail
//workshop:says are two steps
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
	var there bool
	err := tx.GetContext(ctx, &there, `SELECT EXISTS (SELECT FROM outbox WHERE key = $1)`, m.Key)
	if err == nil && !there {
		_, err = tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4)`,
			m.Key, m.To, m.Subject, m.Text)
	}
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
