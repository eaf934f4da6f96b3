package enqueue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/createorder"
	"clicktocode.example/07-response-observability/exercise/enqueue"
)

// postOffice counts what is sent while nothing should be.
type postOffice struct{ sent atomic.Int32 }

func (p *postOffice) Send(context.Context, order.Mail) error {
	p.sent.Add(1)
	return nil
}

func mail(key string) order.Mail {
	return order.Mail{Key: key, To: "ada@example.com", Subject: "Your order", Text: "Two ramen are on their way.\n"}
}

// begin starts a transaction, which is rolled back in the end.
func begin(t *testing.T, db *sqlx.DB) *sqlx.Tx {
	t.Helper()
	tx, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// call is b.Enqueue with a deadline, so that a test ends whatever it waits for.
func call(t *testing.T, b *enqueue.Outbox, tx *sqlx.Tx, m order.Mail) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	return b.Enqueue(ctx, tx, m)
}

// there is how many mails of that key another connection sees.
func there(t *testing.T, db *sqlx.DB, key string) (n int) {
	t.Helper()
	require.NoError(t, db.GetContext(t.Context(), &n, `SELECT count(*) FROM outbox WHERE key = $1`, key))
	return n
}

func TestEnqueue(t *testing.T) {
	db := pgtest.Open(t)
	office := &postOffice{}
	b := &enqueue.Outbox{DB: db, Mailer: office}

	t.Run("is_there_after_the_commit", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("committed")), "Enqueue")
		require.NoError(t, tx.Commit(), "the caller commits, and nobody else")
		require.Equal(t, 1, there(t, db, "committed"), "a mail was enqueued, and its transaction committed: rows of its key in the table outbox")
	})
	t.Run("keeps_all_of_the_mail", func(t *testing.T) {
		tx, want := begin(t, db), mail("whole")
		require.NoError(t, call(t, b, tx, want))
		require.NoError(t, tx.Commit())
		var got order.Mail
		require.NoError(t, db.QueryRowxContext(t.Context(), `SELECT key, "to", subject, text FROM outbox WHERE key = 'whole'`).Scan(&got.Key, &got.To, &got.Subject, &got.Text), "the mail's row in the table outbox")
		require.Equal(t, want, got, "the worker knows nothing of the mail but what stands in its row")
	})
	t.Run("is_due_at_once", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("due")))
		require.NoError(t, tx.Commit())
		var due bool
		require.NoError(t, db.GetContext(t.Context(), &due, `SELECT due <= now() AND attempts = 0 AND NOT dead AND sent IS NULL FROM outbox WHERE key = 'due'`), "the mail's row in the table outbox")
		require.True(t, due, "the mail is due now, was never tried, and is neither sent nor dead: leave these columns to their defaults")
	})
	t.Run("nobody_sees_it_before_the_commit", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("open")))
		var inside int
		require.NoError(t, tx.GetContext(t.Context(), &inside, `SELECT count(*) FROM outbox WHERE key = 'open'`))
		require.Equal(t, 0, there(t, db, "open"), "the order's transaction is still open, and another connection sees the mail: a worker would send it, and the order may yet be rolled back. Write by tx, and not by a connection of your own")
		require.Equal(t, 1, inside, "rows that the transaction itself sees")
	})
	t.Run("nothing_is_left_of_it_after_a_rollback", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("undone")))
		var inside int
		require.NoError(t, tx.GetContext(t.Context(), &inside, `SELECT count(*) FROM outbox WHERE key = 'undone'`))
		require.NoError(t, tx.Rollback())
		require.Equal(t, 0, there(t, db, "undone"), "the order's transaction was rolled back: a customer would get a mail about an order that does not exist")
		require.Equal(t, 1, inside, "rows that the transaction saw before")
	})
	t.Run("sends_nothing", func(t *testing.T) {
		tx := begin(t, db)
		before := office.sent.Load()
		require.NoError(t, call(t, b, tx, mail("patient")))
		require.Equal(t, before, office.sent.Load(), "Enqueue has sent the mail, in the middle of the order's transaction: it cannot be called back when that is rolled back, and the transaction keeps its locks for as long as the post takes. The worker sends")
		require.NoError(t, tx.Commit())
		require.Equal(t, 1, there(t, db, "patient"))
	})
	t.Run("leaves_the_commit_to_its_caller", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("first-half")))
		_, err := tx.ExecContext(t.Context(), `INSERT INTO dishes (id, position, name, price, currency, stock) VALUES ('tea', 1, 'Tea', 310, 'EUR', 9)`)
		require.NoError(t, err, "the caller goes on with its transaction after Enqueue, which must not have ended it")
		require.NoError(t, tx.Commit())
		require.Equal(t, 1, there(t, db, "first-half"))
	})
	t.Run("the_transaction_goes_on_after_the_same_key", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("again")))
		require.NoError(t, call(t, b, tx, mail("again")), "Enqueue of the same key in the same transaction")
		_, err := tx.ExecContext(t.Context(), `SELECT 1`)
		require.NoError(t, err, "the transaction after that: in PostgreSQL, a statement that fails ends its transaction, also if you swallow the error. Have the INSERT not fail: ON CONFLICT")
		require.NoError(t, tx.Commit())
		require.Equal(t, 1, there(t, db, "again"))
	})
	t.Run("the_same_key_twice_is_one_mail", func(t *testing.T) {
		for range 2 {
			tx := begin(t, db)
			require.NoError(t, call(t, b, tx, mail("twice")), "Enqueue of a key that an earlier transaction has brought: an order that is tried again must not fail for its mail")
			require.NoError(t, tx.Commit())
		}
		require.Equal(t, 1, there(t, db, "twice"), "two transactions have enqueued the same key")
	})
	t.Run("the_first_one_stays_as_it_is", func(t *testing.T) {
		other := mail("stays")
		other.Text = "Something else."
		for _, m := range []order.Mail{mail("stays"), other} {
			tx := begin(t, db)
			require.NoError(t, call(t, b, tx, m))
			require.NoError(t, tx.Commit())
		}
		var text string
		require.NoError(t, db.GetContext(t.Context(), &text, `SELECT text FROM outbox WHERE key = 'stays'`))
		require.Equal(t, mail("stays").Text, text, "the text after a second Enqueue of the same key with another one: the first may be on its way already")
	})
	t.Run("a_mail_to_nobody_costs_no_order", func(t *testing.T) {
		for _, m := range []order.Mail{{Key: "nobody"}, {To: "ada@example.com"}} {
			tx := begin(t, db)
			err := call(t, b, tx, m)
			require.ErrorIs(t, err, order.ErrInvalid, "Enqueue of a mail with the key %q to %q: both are needed", m.Key, m.To)
			require.NoError(t, call(t, b, tx, mail("after-"+m.Key)), "the transaction after a mail that was refused: if the database refuses it, the order's transaction ends with it. Look before you ask")
			require.NoError(t, tx.Commit())
		}
	})
	t.Run("ends_with_its_context", func(t *testing.T) {
		tx := begin(t, db)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := b.Enqueue(ctx, tx, mail("late"))
		require.ErrorIs(t, err, context.Canceled, "Enqueue in a context that has ended")
		require.ErrorIs(t, err, order.ErrUnavailable, "the error is one of package order's: see pgfault.Of")
	})
	t.Run("is_part_of_an_order", func(t *testing.T) {
		o := order.Order{
			ID: "o-1", Customer: "ada", State: order.Paid, Method: "pm_card_visa", Payment: "pi_1", Version: 1,
			Lines:   []order.Line{{Dish: "ramen", Name: "Ramen", Quantity: 1, Unit: eur(1000), Total: eur(1000)}},
			Totals:  order.Totals{Subtotal: eur(1000), Discount: eur(0), Tax: eur(0), Total: eur(1000)},
			Created: time.Unix(1700000000, 0).UTC(), Updated: time.Unix(1700000000, 0).UTC(),
		}
		confirm := func(ctx context.Context, tx *sqlx.Tx) error { return b.Enqueue(ctx, tx, mail("confirmation-"+o.ID)) }
		require.NoError(t, createorder.Create(t.Context(), db, o, confirm))
		require.Equal(t, 1, there(t, db, "confirmation-o-1"), "an order was created, with its mail in the same transaction")
		require.ErrorIs(t, createorder.Create(t.Context(), db, o, confirm), order.ErrExists)
		require.Equal(t, 1, there(t, db, "confirmation-o-1"), "and once more, by a customer who had got no answer")
	})
}

func eur(amount int64) order.Money { return order.Money{Amount: amount, Currency: "EUR"} }

// Waiting is given.
//
//workshop:guard TestWaiting/...
func TestWaiting(t *testing.T) {
	db := pgtest.Open(t)
	b := &enqueue.Outbox{DB: db, Mailer: &postOffice{}}
	t.Run("counts", func(t *testing.T) {
		none, err := b.Waiting(t.Context())
		require.NoError(t, err)
		assert.Zero(t, none)
		_, err = db.Exec(`INSERT INTO outbox (key, "to", subject, text, due, created, sent, dead) VALUES
			('a', 'x', '', '', now(), now() - interval '1 minute', NULL, false),
			('b', 'x', '', '', now() + interval '1 hour', now(), NULL, false),
			('c', 'x', '', '', now(), now() - interval '1 day', NULL, true),
			('d', 'x', '', '', now(), now() - interval '1 day', now(), false)`)
		require.NoError(t, err)
		got, err := b.Waiting(t.Context())
		require.NoError(t, err)
		assert.InDelta(t, time.Minute, got.Oldest, float64(10*time.Second))
		got.Oldest = 0
		assert.Equal(t, enqueue.Waiting{Due: 1, Later: 1, Dead: 1}, got)
	})
}
