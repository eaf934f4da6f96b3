//go:build ignore

// A second mail with the same key takes the first one's place. The first may have been
// sent, or be on its way at this moment: the customer gets either.
//
//workshop:caught-by TestEnqueue/the_first_one_stays_as_it_is
//workshop:says may be on its way already
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
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET "to" = excluded."to", subject = excluded.subject, text = excluded.text`,
		m.Key, m.To, m.Subject, m.Text)
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
