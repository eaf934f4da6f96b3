// Package enqueue writes down what is to be done later, in the transaction that
// makes it due. That is the pattern called transactional outbox.
//
// An order that is paid is confirmed by mail. Mail is sent by another company's
// machine, which may be slow, away, or out of order, and no transaction reaches
// that far: mail sent before COMMIT may speak of an order that was rolled back, and
// mail sent after it is forgotten if the process dies in between. So nothing is
// sent here. A row in the table outbox says what is to be sent, and it is there if,
// and only if, the order is. A worker sends it (package worker).
//
//	BEGIN
//	  INSERT INTO orders …
//	  INSERT INTO outbox …     Enqueue
//	COMMIT                     both, or neither
//
// In the story, the chef does not walk the receipt to the post. It is clipped to the
// order, and whoever goes by the post box takes what hangs there.
//
// Source: "Pattern: Transactional outbox" (C. Richardson, microservices.io);
// PostgreSQL's manual, INSERT, ON CONFLICT.
package enqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

// Outbox is the table of that name, see chapter 6's schema, and who empties it. It may
// be used by many goroutines at once. Enqueue needs neither of its fields: who only
// enqueues may leave them nil.
type Outbox struct {
	DB     *sqlx.DB     // for whoever looks into the table: the worker, and Waiting
	Mailer order.Mailer // by whom the worker sends
}

// Enqueue has m sent when tx has been committed: the worker finds it then, and sends
// it. If tx is rolled back, nothing was ever there. Enqueue waits for nobody but the
// database, and asks it by tx alone: tx may hold the pool's last connection. tx stays
// its caller's: Enqueue neither commits nor ends it.
//
// All four of m's fields are kept as they are, letter by letter. Values go to the
// database by $1 … $4, never into the statement's text: a customer may be called
// O'Hara. The other columns get their defaults.
//
// m.Key makes several calls one message. If there is one with this key, sent or not,
// in this transaction or another one, nothing is added, the one that is there stays as
// it is and is not locked, and that is no error: tx goes on. Where another transaction
// has enqueued the key and is still open, Enqueue waits for its end: only then it is
// known whether there is one. Two keys do not wait for each other: Enqueue locks neither
// the table nor anything else that orders have in common.
//
// A Key or To that is empty is an *order.InvalidError, and tx goes on, too: nothing was
// asked of the database. Subject and Text may be empty. Of the other errors, see
// pgfault.Of; after one of these, tx can only be rolled back.
func (b *Outbox) Enqueue(ctx context.Context, tx *sqlx.Tx, m order.Mail) error {
	// TODO(enqueue): An INSERT into outbox (key, "to", subject, text) by tx.ExecContext; the other
	// columns have their defaults. What is to happen if the key is there already,
	// PostgreSQL's ON CONFLICT says. Before it: is m.Key empty, or m.To?
	return nil
}

// complete returns an error if m lacks its Key or its To.
func complete(m order.Mail) error {
	var faults []error
	if m.Key == "" {
		faults = append(faults, &order.InvalidError{Field: "mail.key", What: "is empty"})
	}
	if m.To == "" {
		faults = append(faults, &order.InvalidError{Field: "mail.to", What: "is empty"})
	}
	return errors.Join(faults...)
}

// Waiting is what is still to be sent.
type Waiting struct {
	Due    int           // may be sent now
	Later  int           // is being sent, or is to be tried again later
	Dead   int           // is set aside, for a human
	Oldest time.Duration // the age of the oldest of those that are not dead; 0 if there is none
}

// Waiting counts. Its errors are those of pgfault.Of.
func (b *Outbox) Waiting(ctx context.Context) (Waiting, error) {
	var n struct {
		Due, Later, Dead int
		Oldest           float64
	}
	err := b.DB.GetContext(ctx, &n, `SELECT
		count(*) FILTER (WHERE NOT dead AND due <= now()) AS due,
		count(*) FILTER (WHERE NOT dead AND due > now()) AS later,
		count(*) FILTER (WHERE dead) AS dead,
		coalesce(extract(epoch FROM now() - min(created) FILTER (WHERE NOT dead)), 0) AS oldest
		FROM outbox WHERE sent IS NULL`)
	if err != nil {
		return Waiting{}, fmt.Errorf("enqueue: count: %w", pgfault.Of(ctx, err))
	}
	return Waiting{Due: n.Due, Later: n.Later, Dead: n.Dead, Oldest: time.Duration(n.Oldest * float64(time.Second))}, nil
}
