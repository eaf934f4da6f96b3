//go:build ignore

// It inserts, and takes the error of a key that is there already for no error. But the
// statement has failed, and with it PostgreSQL has ended the transaction: the order cannot
// be committed any more.
//
//workshop:caught-by TestEnqueue/the_transaction_goes_on_after_the_same_key
//workshop:says a statement that fails ends its transaction
package enqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func (b *Outbox) Enqueue(ctx context.Context, tx *sqlx.Tx, m order.Mail) error {
	if err := complete(m); err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, $3, $4)`,
		m.Key, m.To, m.Subject, m.Text)
	var said interface{ SQLState() string }
	if errors.As(err, &said) && said.SQLState() == "23505" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("enqueue: mail %q: %w", m.Key, pgfault.Of(ctx, err))
	}
	return nil
}
