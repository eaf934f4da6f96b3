package enqueue_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/createorder"
	"clicktocode.example/07-response-observability/solution/enqueue"
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

// begin starts a transaction, which is rolled back in the end. That may wait for a
// statement which runs in it: not for ever.
func begin(t *testing.T, db *sqlx.DB) *sqlx.Tx {
	t.Helper()
	tx, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		done := make(chan struct{})
		go func() { defer close(done); _ = tx.Rollback() }()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
		}
	})
	return tx
}

// start is b.Enqueue in a goroutine of its own. A panic is an error, too.
func start(ctx context.Context, b *enqueue.Outbox, tx *sqlx.Tx, m order.Mail) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		if fault := panics.In(func() { err = b.Enqueue(ctx, tx, m) }); fault != "" {
			err = errors.New("Enqueue panicked: " + fault)
		}
		done <- err
	}()
	return done
}

// result is what came of start, within five seconds.
func result(done <-chan error) (err error, returned bool) {
	select {
	case err := <-done:
		return err, true
	case <-time.After(5 * time.Second):
		return nil, false
	}
}

// call is b.Enqueue with a deadline, so that a test ends whatever it waits for.
func call(t *testing.T, b *enqueue.Outbox, tx *sqlx.Tx, m order.Mail) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	err, returned := result(start(ctx, b, tx, m))
	require.True(t, returned, "Enqueue of the key %q has not returned, though nobody else is at work in the database. The deadline of its context, 4 s, is over, too: does the database know of it?", m.Key)
	return err
}

// backend is the process of the server that works for tx.
func backend(t *testing.T, tx *sqlx.Tx) (pid int) {
	t.Helper()
	require.NoError(t, tx.GetContext(t.Context(), &pid, `SELECT pg_backend_pid()`))
	return pid
}

// waits returns once what was started in the transaction of pid waits for somebody
// else's lock, which is true, or has returned.
func waits(t *testing.T, db *sqlx.DB, pid int, done <-chan error) (locked bool) {
	t.Helper()
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	for late := time.After(2 * time.Second); len(done) == 0; {
		require.NoError(t, db.GetContext(t.Context(), &locked, `SELECT cardinality(pg_blocking_pids($1)) > 0`, pid))
		if locked {
			return true
		}
		select {
		case <-every.C:
		case <-late:
			return false // what it does, nobody knows: the assertion behind this will tell
		}
	}
	return false
}

// there is how many mails of that key another connection sees.
func there(t *testing.T, db *sqlx.DB, key string) (n int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	require.NoError(t, db.GetContext(ctx, &n, `SELECT count(*) FROM outbox WHERE key = $1`, key), "another connection looks for the key %q in the table outbox", key)
	return n
}

// settled is how much was sent, once nothing runs any more that Enqueue has started.
func settled(office *postOffice) int32 {
	deadline := time.Now().Add(time.Second)
	all := make([]byte, 1<<20)
	for time.Now().Before(deadline) && bytes.Contains(all[:runtime.Stack(all, true)], []byte("enqueue.(*Outbox).Enqueue")) {
		time.Sleep(time.Millisecond)
	}
	return office.sent.Load()
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
	for _, test := range []struct {
		name string
		mail order.Mail
		why  string
	}{
		{"keeps_all_of_the_mail", order.Mail{Key: " Order-17", To: "Ada@example.com", Subject: "Your order ", Text: " Two ramen\nare on their way.\n"},
			"the worker knows nothing of the mail but what stands in its row"},
		{"keeps_an_apostrophe", order.Mail{Key: "O'Hara-1", To: "o'hara@example.com", Subject: "O'Hara's order", Text: "x'); DELETE FROM outbox; --"},
			"a value that stands in the statement's text ends where it has an apostrophe, and what follows is taken for SQL. Values go by $1 … $4, as arguments"},
		{"may_lack_subject_and_text", order.Mail{Key: "bare", To: "ada@example.com"},
			"only Key and To are needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tx, want := begin(t, db), test.mail
			require.NoError(t, call(t, b, tx, want), "Enqueue of %+v: %s", want, test.why)
			require.NoError(t, tx.Commit(), "COMMIT after Enqueue of %+v", want)
			var got order.Mail
			require.NoError(t, db.QueryRowxContext(t.Context(), `SELECT key, "to", subject, text FROM outbox WHERE lower(trim(key)) = lower(trim($1))`, want.Key).Scan(&got.Key, &got.To, &got.Subject, &got.Text), "the row of the mail %+v in the table outbox", want)
			require.Equal(t, want, got, "the row of the mail %+v: %s", want, test.why)
		})
	}
	t.Run("is_due_at_once", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("due")), "Enqueue")
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
		var due bool
		require.NoError(t, db.GetContext(t.Context(), &due, `SELECT due <= now() AND attempts = 0 AND NOT dead AND sent IS NULL FROM outbox WHERE key = 'due'`), "the mail's row in the table outbox")
		require.True(t, due, "the mail is due now, was never tried, and is neither sent nor dead: leave these columns to their defaults")
	})
	t.Run("knows_since_when", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("since")), "Enqueue")
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
		var age float64
		require.NoError(t, db.GetContext(t.Context(), &age, `SELECT extract(epoch FROM now() - created) FROM outbox WHERE key = 'since'`), "the mail's row in the table outbox")
		require.InDelta(t, 0, age, 60, "the age in seconds of a mail that was enqueued now, by its column created: operators are woken by the oldest one's age. Leave the column to its default")
	})
	t.Run("nobody_sees_it_before_the_commit", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("open")), "Enqueue")
		var inside int
		require.NoError(t, tx.GetContext(t.Context(), &inside, `SELECT count(*) FROM outbox WHERE key = 'open'`), "the transaction after Enqueue")
		require.Equal(t, 0, there(t, db, "open"), "the order's transaction is still open, and another connection sees the mail: a worker would send it, and the order may yet be rolled back. Write by tx, and not by a connection of your own")
		require.Equal(t, 1, inside, "rows that the transaction itself sees")
	})
	t.Run("nothing_is_left_of_it_after_a_rollback", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("undone")), "Enqueue")
		var inside int
		require.NoError(t, tx.GetContext(t.Context(), &inside, `SELECT count(*) FROM outbox WHERE key = 'undone'`), "the transaction after Enqueue")
		require.NoError(t, tx.Rollback(), "the caller rolls back: its transaction must still be there")
		require.Equal(t, 0, there(t, db, "undone"), "the order's transaction was rolled back: a customer would get a mail about an order that does not exist")
		require.Equal(t, 1, inside, "rows that the transaction saw before")
	})
	t.Run("sends_nothing", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("patient")), "Enqueue")
		require.Zero(t, settled(office), "Enqueue has sent the mail, in the middle of the order's transaction, or from a goroutine beside it: it cannot be called back when that is rolled back, and the transaction keeps its locks for as long as the post takes. The worker sends")
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
		require.Equal(t, 1, there(t, db, "patient"), "a mail was enqueued, and its transaction committed: rows of its key in the table outbox")
	})
	t.Run("needs_nothing_but_the_transaction", func(t *testing.T) {
		tx := begin(t, db)
		var err error
		require.NotPanics(t, func() { err = new(enqueue.Outbox).Enqueue(t.Context(), tx, mail("alone")) }, "Enqueue of an Outbox whose fields are nil: whatever it asks b.DB, it asks by another connection, and the order's transaction may hold the pool's last one. Then each waits for the other")
		require.NoError(t, err, "Enqueue of an Outbox whose fields are nil: tx is all it needs")
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
		require.Equal(t, 1, there(t, db, "alone"), "a mail was enqueued, and its transaction committed: rows of its key in the table outbox")
	})
	t.Run("leaves_the_commit_to_its_caller", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("first-half")), "Enqueue")
		_, err := tx.ExecContext(t.Context(), `INSERT INTO dishes (id, position, name, price, currency, stock) VALUES ('tea', 1, 'Tea', 310, 'EUR', 9)`)
		require.NoError(t, err, "the caller goes on with its transaction after Enqueue, which must not have ended it")
		require.NoError(t, tx.Commit(), "the caller commits, and nobody else")
		require.Equal(t, 1, there(t, db, "first-half"), "a mail was enqueued, a dish inserted, and all committed: rows of the mail's key in the table outbox")
	})
	t.Run("its_hour_is_the_databases", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("hour")), "Enqueue")
		var now bool
		require.NoError(t, tx.GetContext(t.Context(), &now, `SELECT due = now() AND created = now() FROM outbox WHERE key = 'hour'`), "the mail's row in the table outbox")
		require.True(t, now, "due and created are the hour of the transaction by the database's clock, which is the one that the worker asks. A replica's own clock is another one, and a mail that was due by a fast one waits: leave these columns to their defaults")
	})
	for _, test := range []struct {
		name string
		mail order.Mail
	}{
		{"refuses_a_mail_without_a_key", order.Mail{To: "ada@example.com"}},
		{"refuses_a_mail_to_nobody", order.Mail{Key: "nobody"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := call(t, b, begin(t, db), test.mail)
			require.ErrorIs(t, err, order.ErrInvalid, "Enqueue of a mail with the key %q to %q: both are needed", test.mail.Key, test.mail.To)
			var invalid *order.InvalidError
			require.ErrorAs(t, err, &invalid, "Enqueue of a mail with the key %q to %q: the error is an *order.InvalidError, which names the field, and is still one when it is wrapped (%%w). See complete", test.mail.Key, test.mail.To)
		})
	}
	t.Run("a_mail_to_nobody_costs_no_order", func(t *testing.T) {
		for _, m := range []order.Mail{{Key: "nobody"}, {To: "ada@example.com"}} {
			tx := begin(t, db)
			_ = call(t, b, tx, m)
			require.NoError(t, call(t, b, tx, mail("after-"+m.Key)), "the transaction after a mail with the key %q to %q, which was refused: if the database refuses it, the order's transaction ends with it. Look before you ask", m.Key, m.To)
			require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
			require.Equal(t, 1, there(t, db, "after-"+m.Key), "rows of the key %q, which was enqueued after a mail that was refused, and committed", "after-"+m.Key)
		}
	})
	t.Run("the_transaction_goes_on_after_the_same_key", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("again")), "Enqueue")
		require.NoError(t, call(t, b, tx, mail("again")), "Enqueue of the same key in the same transaction")
		_, err := tx.ExecContext(t.Context(), `SELECT 1`)
		require.NoError(t, err, "the transaction after that: in PostgreSQL, a statement that fails ends its transaction, also if you swallow the error. Have the INSERT not fail: ON CONFLICT")
		require.NoError(t, tx.Commit(), "COMMIT after two Enqueues of the same key")
		require.Equal(t, 1, there(t, db, "again"), "rows of a key that was enqueued twice in one transaction")
	})
	t.Run("the_same_key_twice_is_one_mail", func(t *testing.T) {
		for range 2 {
			tx := begin(t, db)
			require.NoError(t, call(t, b, tx, mail("twice")), "Enqueue of a key that an earlier transaction has brought: an order that is tried again must not fail for its mail")
			require.NoError(t, tx.Commit(), "COMMIT after Enqueue of a key that an earlier transaction has brought")
		}
		require.Equal(t, 1, there(t, db, "twice"), "two transactions have enqueued the same key")
	})
	again := func(t *testing.T, first, second order.Mail, between string) (before, after string) {
		t.Helper()
		row := func() (text string) {
			require.NoError(t, db.GetContext(t.Context(), &text, `SELECT row_to_json(outbox) FROM outbox WHERE key = $1`, first.Key), "the row of the first mail in the table outbox")
			return text
		}
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, first), "Enqueue of %+v", first)
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue of %+v", first)
		_, err := db.ExecContext(t.Context(), between)
		require.NoError(t, err)
		before = row()
		tx = begin(t, db)
		require.NoError(t, call(t, b, tx, second), "Enqueue of %+v, after %+v", second, first)
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue of %+v, after %+v", second, first)
		return before, row()
	}
	t.Run("the_first_one_stays_as_it_is", func(t *testing.T) {
		other := order.Mail{Key: "stays", To: "bob@example.com", Subject: "Something", Text: "else."}
		before, after := again(t, mail("stays"), other, `SELECT 1`)
		require.Equal(t, before, after, "the row after a second Enqueue of the same key, with another address, subject and text: the first may be on its way already")
	})
	t.Run("one_that_was_sent_is_not_sent_again", func(t *testing.T) {
		before, after := again(t, mail("sent"), mail("sent"), `UPDATE outbox SET sent = now(), attempts = 3, due = now() + interval '1 hour', error = 'slow' WHERE key = 'sent'`)
		require.Equal(t, before, after, "the row of a mail that was sent at the third attempt, after a second Enqueue of it: where sent, due, or attempts change, the worker sends it again")
	})
	t.Run("one_that_was_set_aside_stays_so", func(t *testing.T) {
		before, after := again(t, mail("dead"), mail("dead"), `UPDATE outbox SET dead = true, attempts = 10, error = 'no such address' WHERE key = 'dead'`)
		require.Equal(t, before, after, "the row of a mail that was set aside for a human, after a second Enqueue of it")
	})
	t.Run("does_not_wait_for_who_is_at_the_first_one", func(t *testing.T) {
		tx := begin(t, db)
		require.NoError(t, call(t, b, tx, mail("held")), "Enqueue")
		require.NoError(t, tx.Commit(), "COMMIT after Enqueue")
		busy := begin(t, db)
		var id int
		require.NoError(t, busy.GetContext(t.Context(), &id, `SELECT id FROM outbox WHERE key = 'held' FOR UPDATE`), "the mail's row in the table outbox")
		second := begin(t, db)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err, returned := result(start(ctx, b, second, mail("held")))
		require.NoError(t, busy.Rollback())
		require.True(t, returned, "Enqueue of a key whose row a worker is writing to at this moment has waited for that worker. DO UPDATE locks the row, also where it changes nothing: DO NOTHING does not")
		require.NoError(t, err, "Enqueue of a key whose row a worker is writing to at this moment")
		require.NoError(t, second.Commit(), "COMMIT after that")
	})
	// Two replicas serve the same customer, who has asked twice.
	two := func(t *testing.T, key string, end func(first *sqlx.Tx) error) {
		t.Helper()
		first, second := begin(t, db), begin(t, db)
		pid := backend(t, second)
		require.NoError(t, call(t, b, first, mail(key)), "Enqueue, in the first of two transactions")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		done := start(ctx, b, second, mail(key))
		waits(t, db, pid, done)
		require.NoError(t, end(first), "the first transaction's end")
		err, returned := result(done)
		require.True(t, returned, "two transactions enqueue the same key at once. The first has ended, and Enqueue in the second one still waits")
		require.NoError(t, err, "two transactions enqueue the same key at once: Enqueue in the second one. To look whether the key is there, and then to insert it, are two steps, and the first transaction's COMMIT came in between: it is ON CONFLICT that makes one of them. WHERE NOT EXISTS does not")
		require.NoError(t, second.Commit(), "COMMIT of the second transaction")
	}
	t.Run("the_same_key_at_the_same_time_is_one_mail", func(t *testing.T) {
		two(t, "race", (*sqlx.Tx).Commit)
		require.Equal(t, 1, there(t, db, "race"), "two transactions have enqueued the same key at once, and both are committed")
	})
	t.Run("is_there_if_the_other_one_was_rolled_back", func(t *testing.T) {
		two(t, "lone", (*sqlx.Tx).Rollback)
		require.Equal(t, 1, there(t, db, "lone"), "two transactions have enqueued the same key at once. The first was rolled back, the second one committed: its order is there, and so is its mail")
	})
	t.Run("another_key_waits_for_nobody", func(t *testing.T) {
		first, second := begin(t, db), begin(t, db)
		pid := backend(t, second)
		require.NoError(t, call(t, b, first, mail("mine")), "Enqueue, in the first of two transactions")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		done := start(ctx, b, second, mail("yours"))
		locked := waits(t, db, pid, done)
		require.False(t, locked, "a transaction has enqueued the key \"mine\" and is still open, and Enqueue of the key \"yours\", in another one, waits for it: all orders of the shop would be placed one after the other. Lock nothing: the table's unique key sees to it that there is no second mail")
		err, returned := result(done)
		require.True(t, returned, "Enqueue of the key \"yours\" has not returned, while another transaction has enqueued \"mine\"")
		require.NoError(t, err, "Enqueue of the key \"yours\", while another transaction has enqueued \"mine\"")
		require.NoError(t, second.Commit(), "COMMIT of the second transaction")
		require.Equal(t, 1, there(t, db, "yours"), "rows of the key that the second transaction has brought")
	})
	t.Run("a_text_that_cannot_be_kept_is_invalid", func(t *testing.T) {
		m := mail("latin")
		m.Text = "Caf\xe9"
		err := call(t, b, begin(t, db), m)
		require.ErrorIs(t, err, order.ErrInvalid, "Enqueue of the text %q, which is no UTF-8: PostgreSQL refuses it, and to try again is in vain. pgfault.Of knows which error means what", m.Text)
		require.NotErrorIs(t, err, order.ErrUnavailable, "Enqueue of the text %q: not every error is a database that is away", m.Text)
	})
	t.Run("ends_with_its_context", func(t *testing.T) {
		tx := begin(t, db)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err, returned := result(start(ctx, b, tx, mail("late")))
		require.True(t, returned, "Enqueue in a context that has ended has not returned")
		require.ErrorIs(t, err, context.Canceled, "Enqueue in a context that has ended")
		require.ErrorIs(t, err, order.ErrUnavailable, "the error is one of package order's: see pgfault.Of")
	})
	t.Run("stops_waiting_when_its_context_ends", func(t *testing.T) {
		busy, tx := begin(t, db), begin(t, db)
		_, err := busy.ExecContext(t.Context(), `LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`)
		require.NoError(t, err)
		pid := backend(t, tx)
		ctx, stop := context.WithCancel(t.Context())
		done := start(ctx, b, tx, mail("impatient"))
		waits(t, db, pid, done)
		stop()
		err, returned := result(done)
		require.NoError(t, busy.Rollback())
		require.True(t, returned, "somebody has locked the table, and Enqueue's context ended while it waited: it waits still. The statement gets ctx, too, or the order's transaction is held by a customer who has left")
		require.ErrorIs(t, err, context.Canceled, "Enqueue, whose context ended while it waited for the table: the driver says only that the statement was cancelled, and pgfault.Of says why")
		require.ErrorIs(t, err, order.ErrUnavailable, "the error is one of package order's: see pgfault.Of")
	})
	t.Run("is_part_of_an_order", func(t *testing.T) {
		o := order.Order{
			ID: "o-1", Customer: "ada", State: order.Paid, Method: "pm_card_visa", Payment: "pi_1", Version: 1,
			Lines:   []order.Line{{Dish: "ramen", Name: "Ramen", Quantity: 1, Unit: eur(1000), Total: eur(1000)}},
			Totals:  order.Totals{Subtotal: eur(1000), Discount: eur(0), Tax: eur(0), Total: eur(1000)},
			Created: time.Unix(1700000000, 0).UTC(), Updated: time.Unix(1700000000, 0).UTC(),
		}
		confirm := func(_ context.Context, tx *sqlx.Tx) error { return call(t, b, tx, mail("confirmation-"+o.ID)) }
		require.NoError(t, createorder.Create(t.Context(), db, o, confirm), "an order is created, with its mail in the same transaction")
		require.Equal(t, 1, there(t, db, "confirmation-o-1"), "an order was created, with its mail in the same transaction")
		require.ErrorIs(t, createorder.Create(t.Context(), db, o, confirm), order.ErrExists, "the same order once more, by a customer who had got no answer")
		require.Equal(t, 1, there(t, db, "confirmation-o-1"), "and once more, by a customer who had got no answer")
		require.Zero(t, settled(office), "in all of these tests, somebody has sent a mail: the worker does that, and nobody else")
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
