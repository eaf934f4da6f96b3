package createorder_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgproxy"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/createorder"
)

func TestCreate(t *testing.T) {
	db := pgtest.Open(t)
	databaseURL := pgtest.URL(t)

	t.Run("keeps_an_order", func(t *testing.T) {
		o := sample("plain", 2)
		require.NoError(t, create(t, db, o), "Create of an order of two lines")
		var got struct {
			Customer, State, Currency, Method, Payment string
			Subtotal, Discount, Tax, Total             int64
			Version                                    int
			Created, Updated                           time.Time
		}
		err := db.Get(&got, `SELECT customer, state, currency, method, payment, subtotal, discount, tax, total, version, created, updated FROM orders WHERE id = $1`, o.ID)
		require.NoError(t, err, "Create returned nil for the order %q: its row in the table orders. Insert it, and COMMIT: a transaction that is not committed leaves nothing", o.ID)
		assert.Equal(t, []any{"ada", "paid", "EUR", "pm_card_visa", "pi_plain", int64(2000), int64(100), int64(380), int64(2280), 1},
			[]any{got.Customer, got.State, got.Currency, got.Method, got.Payment, got.Subtotal, got.Discount, got.Tax, got.Total, got.Version},
			"the order's row in the table orders: orderRow(o) are the arguments of insertOrder")
		assert.True(t, got.Created.Equal(o.Created) && got.Updated.Equal(o.Updated), "created and updated are %v and %v, and were kept as %v and %v", o.Created, o.Updated, got.Created, got.Updated)
	})

	t.Run("keeps_its_lines_in_their_order", func(t *testing.T) {
		require.NoError(t, create(t, db, sample("lines", 3)), "Create of an order of three lines")
		assert.Equal(t, []string{"dish-0 Dish 0 1 1000 1000", "dish-1 Dish 1 1 1000 1000", "dish-2 Dish 2 1 1000 1000"}, lines(t, db, "lines"),
			"the order's rows in the table order_lines, by position: lineRows(o) are the arguments of insertLines")
	})

	t.Run("keeps_an_order_over_a_connection_of_its_own", func(t *testing.T) {
		conn, err := db.Connx(within(t))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, create(t, conn, sample("conn", 1)), "Create with a *sqlx.Conn, which is a Beginner as well as a *sqlx.DB is")
		assert.Len(t, lines(t, db, "conn"), 1, "Create with a *sqlx.Conn, of an order of one line: its rows in the table order_lines")
	})

	t.Run("leaves_the_order_as_it_is", func(t *testing.T) {
		o := sample("unchanged", 2)
		require.NoError(t, create(t, db, o), "Create of an order of two lines")
		require.Len(t, lines(t, db, o.ID), 2, "an order of two lines: its rows in the table order_lines")
		assert.Equal(t, sample("unchanged", 2), o, "the order, after Create of it: it is the caller's, with its lines")
	})

	t.Run("keeps_fifty_lines_by_as_many_statements_as_one", func(t *testing.T) {
		proxy := pgproxy.Start(t, databaseURL, nil)
		through := open(t, proxy.URL)
		count := func(id string, n int) int {
			proxy.Forget()
			require.NoError(t, create(t, through, sample(id, n)), "Create of an order of %d lines", n)
			require.Len(t, lines(t, db, id), n, "an order of %d lines: its rows in the table order_lines", n)
			return len(proxy.Statements())
		}
		assert.Equal(t, count("one-line", 1), count("fifty-lines", order.MaxLines),
			"statements that came to the server for an order of %d lines; wanted as many as for one of 1 line. A statement a line is a trip to the server and back for each of them, and the transaction keeps its locks meanwhile. insertLines takes all lines at once", order.MaxLines)
	})

	t.Run("shows_nobody_half_an_order", func(t *testing.T) {
		var inside, outside int
		err := create(t, db, sample("half", 2), func(ctx context.Context, tx *sqlx.Tx) error {
			const count = `SELECT (SELECT count(*) FROM orders WHERE id = 'half') + (SELECT count(*) FROM order_lines WHERE order_id = 'half')`
			return errors.Join(tx.GetContext(ctx, &inside, count), db.GetContext(ctx, &outside, count))
		})
		require.NoError(t, err, "Create of an order of two lines, with an also that looks around")
		assert.Equal(t, 3, inside, "also is called with the transaction when the order and its two lines were inserted: rows that it sees")
		assert.Equal(t, 0, outside, "while also runs, before COMMIT: rows of the order that another connection sees. The order, its lines, and what also writes belong in one transaction: insert by tx, not by db")
	})

	t.Run("keeps_what_also_writes", func(t *testing.T) {
		require.NoError(t, create(t, db, sample("twomails", 1), mail("first"), mail("second")), "Create with two also, each of which writes a mail into the outbox")
		var keys []string
		require.NoError(t, db.Select(&keys, `SELECT key FROM outbox WHERE key IN ('first', 'second') ORDER BY id`))
		assert.Equal(t, []string{"first", "second"}, keys, "Create with two also, each of which writes a mail into the outbox: what is there then, in its order")
	})

	t.Run("hands_also_its_context", func(t *testing.T) {
		type key struct{}
		var got any
		err := createIn(t, context.WithValue(within(t), key{}, "the caller's"), db, sample("context", 1), func(ctx context.Context, _ *sqlx.Tx) error {
			got = ctx.Value(key{})
			return nil
		})
		require.NoError(t, err, "Create with an also that looks at its context")
		assert.Equal(t, "the caller's", got, "a value in the context that also is called with: it is Create's, so that what also does ends with the request")
	})

	t.Run("keeps_no_order_of_two_currencies", func(t *testing.T) {
		o := sample("dollars", 2)
		o.Lines[1].Unit.Currency, o.Lines[1].Total.Currency = "USD", "USD"
		require.ErrorIs(t, create(t, db, o), order.ErrInvalid, "an order in EUR whose second line is in USD: the tables keep one currency for all, so 10 dollars would become 10 euros. Ask oneCurrency first")
		assert.Equal(t, 0, kept(t, db, "dollars"), "an order in EUR whose second line is in USD: its rows in the table orders")
	})

	t.Run("says_that_the_ID_is_taken", func(t *testing.T) {
		require.NoError(t, create(t, db, sample("taken", 1)))
		other := sample("taken", 2)
		other.Customer = "bob"
		err := create(t, db, other)
		require.ErrorIs(t, err, order.ErrExists, "ada's order %[1]q is kept, and bob's %[1]q is created: the server refuses it by the code 23505 (unique_violation) and the constraint orders_pkey", "taken")
		assert.Len(t, lines(t, db, "taken"), 1, "lines of ada's order, which stays as it is")
	})

	t.Run("keeps_what_the_server_said", func(t *testing.T) {
		require.NoError(t, create(t, db, sample("said", 1)))
		var said *pq.Error
		require.ErrorAs(t, create(t, db, sample("said", 1)), &said, "the ID is taken: the error is an order.ErrExists, and wraps the server's as well, for the log")
		assert.EqualValues(t, "23505", said.Code, "the ID is taken: the code of the server's error")
	})

	t.Run("a_dish_twice_is_not_an_ID_that_is_taken", func(t *testing.T) {
		o := sample("twice", 2)
		o.Lines[1].Dish = o.Lines[0].Dish
		err := create(t, db, o)
		require.ErrorIs(t, err, order.ErrInvalid, "a new order with one dish in two lines: the server refuses it by the code 23505, too, but the constraint is order_lines_dish_once. See rules")
		assert.NotErrorIs(t, err, order.ErrExists, "a new order with one dish in two lines: its ID is free. 23505 is each unique constraint's code; look at the constraint's name, too")
	})

	t.Run("an_ID_that_is_too_long_is_not_taken", func(t *testing.T) {
		noise := rand.NewChaCha8([32]byte{})
		id := make([]byte, 4000)
		for i := range id {
			id[i] = byte('!' + noise.Uint64()%90) // nothing that can be compressed
		}
		err := create(t, db, sample(string(id), 1))
		require.Error(t, err, "an ID of 4,000 octets, which the index of the table orders has no room for")
		assert.False(t, errors.Is(err, order.ErrExists), "an ID of 4,000 octets, which is free: the server refuses it by the constraint orders_pkey, whose index has no room for it, but the code is 54000 (program_limit_exceeded). Look at the code, too")
	})

	t.Run("a_fault_in_line_two_leaves_nothing", func(t *testing.T) {
		o := sample("line-two", 2)
		o.Lines[1].Quantity, o.Lines[1].Total.Amount = 0, 0
		err := create(t, db, o)
		require.ErrorIs(t, err, order.ErrInvalid, "an order whose second line has the quantity 0: the server refuses it by the code 23514 (check_violation) and the constraint order_lines_quantity")
		assert.Equal(t, 0, kept(t, db, "line-two"), "an order whose second line was refused: its rows in the table orders. All of it is kept, or nothing")
	})

	t.Run("a_fault_of_also_leaves_nothing", func(t *testing.T) {
		broken := errors.New("no mail today")
		err := create(t, db, sample("broken", 1), mail("broken"), func(context.Context, *sqlx.Tx) error { return broken })
		require.ErrorIs(t, err, broken, "the second also returned an error: Create's error wraps it")
		assert.Equal(t, 0, kept(t, db, "broken"), "the second also returned an error: rows of the order in the table orders. Its transaction must be rolled back")
		var mails int
		require.NoError(t, db.Get(&mails, `SELECT count(*) FROM outbox WHERE key = 'broken'`))
		assert.Equal(t, 0, mails, "the first also wrote a mail, and the second returned an error: mails that are kept. The mail would tell of an order that is not there")
	})

	t.Run("calls_no_other_also_after_a_fault", func(t *testing.T) {
		var called []string
		broken := errors.New("no mail today")
		also := func(name string, err error) func(context.Context, *sqlx.Tx) error {
			return func(context.Context, *sqlx.Tx) error {
				called = append(called, name)
				return err
			}
		}
		require.ErrorIs(t, create(t, db, sample("three", 1), also("first", nil), also("second", broken), also("third", nil)), broken, "the second of three also returned an error: Create's error wraps it")
		assert.Equal(t, []string{"first", "second"}, called, "the second of three also returned an error: which of them were called. All is undone, so there is nothing to add")
	})

	t.Run("reads_an_error_that_also_has_wrapped", func(t *testing.T) {
		err := create(t, db, sample("gift", 1), func(ctx context.Context, tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO order_lines (order_id, position, dish, name, quantity, unit, total) VALUES ('gift', 9, 'dish-0', 'Gift', 1, 0, 0)`)
			return fmt.Errorf("a gift: %w", err)
		})
		assert.ErrorIs(t, err, order.ErrInvalid, "also adds a line with a dish that is there, and wraps the server's error, 23505 and order_lines_dish_once, in one of its own: what Create says of it. errors.As looks into what is wrapped, err.(*pq.Error) does not")
	})

	t.Run("another_tables_fault_is_not_an_ID_that_is_taken", func(t *testing.T) {
		require.NoError(t, create(t, db, sample("mail-1", 1), mail("key")))
		err := create(t, db, sample("mail-2", 1), mail("key"))
		require.Error(t, err, "also broke a rule of the table outbox")
		assert.NotErrorIs(t, err, order.ErrExists, "also broke a unique constraint of the table outbox, by the code 23505: that says nothing of the order's ID, which is free. Look at the constraint's name, too")
		assert.Equal(t, 0, kept(t, db, "mail-2"), "also broke a rule: rows of the order in the table orders")
	})

	t.Run("another_tables_fault_is_not_the_orders", func(t *testing.T) {
		err := create(t, db, sample("mail-3", 1), mail(""))
		require.Error(t, err, "also broke a rule of the table outbox: a mail's key is not empty")
		assert.NotErrorIs(t, err, order.ErrInvalid, "also broke a rule of the table outbox, by the code 23514: the customer's order is right, and it is a defect of ours. Only rules tells which constraints are an order's")
	})

	t.Run("reads_the_code_in_any_language", func(t *testing.T) {
		said(t, db, "german", `doppelter Schlüsselwert verletzt Unique-Constraint »orders_pkey«`, "23505", "orders_pkey")
		require.ErrorIs(t, create(t, db, sample("german", 1)), order.ErrExists,
			"a server whose language is German says »doppelter Schlüsselwert«, by the code 23505 and the constraint orders_pkey: compare the code, which is the same in each language")
	})

	t.Run("does_not_read_the_text", func(t *testing.T) {
		said(t, db, "quotes", `audit: "duplicate key value violates unique constraint orders_pkey (23505)" was logged twice`, "P0001", "")
		err := create(t, db, sample("quotes", 1))
		require.Error(t, err, "the server refused it")
		assert.NotErrorIs(t, err, order.ErrExists, "the server refuses an order by the code P0001, in a text that has the words duplicate key, orders_pkey and 23505: the ID is free. A text is for people; compare Code and Constraint of the *pq.Error")
	})

	t.Run("waits_for_a_connection_in_its_context", func(t *testing.T) {
		one := open(t, databaseURL)
		one.SetMaxOpenConns(1)
		held, err := one.Connx(within(t))
		require.NoError(t, err)
		defer held.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, createIn(t, ctx, one, sample("no-room", 1)), context.DeadlineExceeded, "the pool's only connection is in use, and Create's context ends after 30 ms: begin the transaction in ctx")
	})

	t.Run("frees_its_connection_after_a_fault", func(t *testing.T) {
		one := open(t, databaseURL)
		one.SetMaxOpenConns(1)
		require.NoError(t, create(t, one, sample("free", 1)))
		require.ErrorIs(t, createIn(t, patient(t), one, sample("free", 1)), order.ErrExists)
		require.NoError(t, create(t, one, sample("free-2", 1)),
			"there is one connection, and the order before was refused: the next one needs that connection. A transaction that is not rolled back keeps it, and its locks, for ever")
	})

	t.Run("frees_its_connection_after_a_fault_in_a_line", func(t *testing.T) {
		one := open(t, databaseURL)
		one.SetMaxOpenConns(1)
		o := sample("free-line", 2)
		o.Lines[1].Quantity, o.Lines[1].Total.Amount = 0, 0
		require.ErrorIs(t, createIn(t, patient(t), one, o), order.ErrInvalid, "an order whose second line has the quantity 0")
		require.NoError(t, create(t, one, sample("free-line", 1)),
			"there is one connection, and a line of the order before was refused: the next one needs that connection. Roll back whichever statement fails; a deferred Rollback does")
	})

	t.Run("frees_its_connection_after_a_fault_of_also", func(t *testing.T) {
		one := open(t, databaseURL)
		one.SetMaxOpenConns(1)
		broken := errors.New("no mail today")
		require.ErrorIs(t, createIn(t, patient(t), one, sample("free-also", 1), func(context.Context, *sqlx.Tx) error { return broken }), broken, "also returned an error")
		require.NoError(t, create(t, one, sample("free-also", 1)),
			"there is one connection, and also failed in the order before: the next one needs that connection. Roll back whatever fails; a deferred Rollback does")
	})

	t.Run("frees_its_connection_after_a_panic", func(t *testing.T) {
		one := open(t, databaseURL)
		one.SetMaxOpenConns(1)
		panicked := make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			_ = createorder.Create(patient(t), one, sample("panic", 1), func(context.Context, *sqlx.Tx) error { panic("a defect in also") })
		}()
		select {
		case got := <-panicked:
			require.Equal(t, "a defect in also", got, "also panics: it passes through Create")
		case <-time.After(3 * time.Second):
			require.Fail(t, "Create does not return", "also panics: it passes through Create")
		}
		require.NoError(t, create(t, one, sample("panic", 1)),
			"there is one connection, and also panicked in the order before: the next one needs that connection. Defer the Rollback, so that a panic ends the transaction, too")
	})

	t.Run("says_that_there_is_no_connection", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		nobody := listener.Addr().String()
		require.NoError(t, listener.Close())
		require.ErrorIs(t, create(t, open(t, "postgres://postgres@"+nobody+"/shop?sslmode=disable"), sample("refused", 1)), order.ErrUnavailable,
			"nobody listens at the database's address: nothing was done, and that is known. What an error means that is not in rules, domain asks pgfault.Of")
	})

	t.Run("a_connection_lost_before_COMMIT_leaves_nothing", func(t *testing.T) {
		cut := cutOnce("INSERT", pgproxy.CutAfter)
		through := open(t, pgproxy.Start(t, databaseURL, cut.judge).URL)
		err := create(t, through, sample("lost", 1))
		require.ErrorIs(t, err, order.ErrUnavailable, "the connection broke after an INSERT, before COMMIT was sent: nothing is kept, and that is known")
		assert.NotErrorIs(t, err, order.ErrUnknown, "the connection broke before COMMIT was sent: a server rolls back what was not committed, so the outcome is known")
		require.NoError(t, create(t, through, sample("lost", 1)), "the connection broke before COMMIT, and the same order is created again: nothing was kept of the first attempt")
		assert.Equal(t, 1, kept(t, db, "lost"), "orders of that ID, in the end")
	})

	t.Run("a_connection_lost_in_also_is_no_different", func(t *testing.T) {
		cut := cutOnce("INSERT INTO OUTBOX", pgproxy.CutAfter)
		through := open(t, pgproxy.Start(t, databaseURL, cut.judge).URL)
		require.ErrorIs(t, create(t, through, sample("lost-mail", 1), mail("lost-mail")), order.ErrUnavailable, "the connection broke while also wrote its mail, before COMMIT was sent: nothing is kept. also's errors go through failed, too")
		assert.Equal(t, 0, kept(t, db, "lost-mail"), "the connection broke while also wrote its mail: rows of the order in the table orders")
	})

	t.Run("a_connection_lost_at_COMMIT_says_that_nobody_knows", func(t *testing.T) {
		cut := cutOnce("COMMIT", pgproxy.CutAfter)
		through := open(t, pgproxy.Start(t, databaseURL, cut.judge).URL)
		err := create(t, through, sample("answer-lost", 1))
		require.ErrorIs(t, err, order.ErrUnknown, "COMMIT was sent, the server has done it, and the connection broke before its answer came: the order is kept, and Create cannot know")
		assert.NotErrorIs(t, err, order.ErrUnavailable, "COMMIT was sent, and its answer did not come: ErrUnavailable says that nothing was done, and that is not known")
		assert.Equal(t, 1, kept(t, db, "answer-lost"), "orders of that ID: the server had done the COMMIT")
	})

	t.Run("the_same_order_again_makes_one", func(t *testing.T) {
		for _, fate := range []struct {
			id     string
			fate   pgproxy.Fate
			second error
			what   string
		}{
			{"commit-done", pgproxy.CutAfter, order.ErrExists, "the server had done the COMMIT whose answer was lost"},
			{"commit-lost", pgproxy.CutBefore, nil, "the server had not seen the COMMIT"},
		} {
			cut := cutOnce("COMMIT", fate.fate)
			through := open(t, pgproxy.Start(t, databaseURL, cut.judge).URL)
			require.ErrorIs(t, create(t, through, sample(fate.id, 2)), order.ErrUnknown, "the connection broke at COMMIT")
			require.ErrorIs(t, create(t, through, sample(fate.id, 2)), fate.second, "the connection broke at COMMIT, and the same order is created again; %s", fate.what)
			assert.Equal(t, 1, kept(t, db, fate.id), "the connection broke at COMMIT, and the same order was created again: orders of that ID")
		}
	})

	t.Run("what_the_server_refuses_at_COMMIT_is_known", func(t *testing.T) {
		define(t, db, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$`)
		define(t, db, `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 'at-commit') EXECUTE FUNCTION refuse()`)
		err := create(t, db, sample("at-commit", 1))
		require.NotErrorIs(t, err, order.ErrUnknown, "the server answered COMMIT by an error, which is a *pq.Error: it has told what became of it, so that is known")
		require.ErrorIs(t, err, order.ErrUnavailable, "the server answered COMMIT by an error, with the code 40001 (serialization_failure): nothing is kept, and another try may do")
		assert.Equal(t, 0, kept(t, db, "at-commit"), "the server refused the COMMIT: rows of the order in the table orders")
	})

	t.Run("a_COMMIT_that_was_not_sent_is_known", func(t *testing.T) {
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		err := createIn(t, ctx, db, sample("not-sent", 1), func(context.Context, *sqlx.Tx) error {
			cancel()
			return nil
		})
		require.NotErrorIs(t, err, order.ErrUnknown, "the context was cancelled while also ran, so COMMIT was not sent: that is known, and nothing is kept. Commit's error says so, by sql.ErrTxDone or the context's error")
		require.ErrorIs(t, err, context.Canceled, "the context was cancelled while also ran: Create's error wraps ctx's")
		assert.Equal(t, 0, kept(t, db, "not-sent"), "the context was cancelled while also ran: rows of the order in the table orders")
	})

	t.Run("a_COMMIT_that_rolls_back_is_known", func(t *testing.T) {
		err := create(t, db, sample("swallowed", 1), func(ctx context.Context, tx *sqlx.Tx) error {
			_, _ = tx.ExecContext(ctx, `SELECT 1 / 0`) // its error is lost, and the transaction has failed
			return nil
		})
		require.Error(t, err, "a statement failed in also, which said nothing of it: the server answers COMMIT by ROLLBACK")
		require.NotErrorIs(t, err, order.ErrUnknown, "a statement failed in also, which said nothing of it: the server answers COMMIT by ROLLBACK, and Commit returns pq.ErrInFailedTransaction. So that is known: nothing is kept")
		assert.Equal(t, 0, kept(t, db, "swallowed"), "the server answered COMMIT by ROLLBACK: rows of the order in the table orders")
	})

	t.Run("many_may_create_at_once", func(t *testing.T) {
		inside, second := make(chan struct{}), make(chan error, 1)
		enter := sync.OnceFunc(func() { close(inside) })
		defer enter() // also where also is never called
		go func() {
			<-inside // the first one has inserted its order, and not committed it
			var err error
			if fault := panics.In(func() { err = createorder.Create(within(t), db, sample("at-once-2", 2)) }); fault != "" {
				err = errors.New(fault)
			}
			second <- err
		}()
		var got error
		err := create(t, db, sample("at-once-1", 1), func(ctx context.Context, _ *sqlx.Tx) error {
			enter()
			select {
			case got = <-second:
			case <-ctx.Done():
				got = errors.New("Create does not return")
			}
			return nil
		})
		require.NoError(t, got, "Create of another order, from its beginning to its end, while also of the first one runs")
		require.NoError(t, err, "Create of the first order: another one was created while its also ran. What belongs to one call, such as its transaction, is in that call's own variables")
		assert.Equal(t, []int{1, 2}, []int{len(lines(t, db, "at-once-1")), len(lines(t, db, "at-once-2"))}, "two orders of 1 line and of 2, which were created at once: their lines")
	})

	t.Run("ends_with_its_context", func(t *testing.T) {
		first, err := db.Beginx()
		require.NoError(t, err)
		defer first.Rollback()
		first.MustExec(`INSERT INTO orders (id, customer, state, currency, subtotal, discount, tax, total, method, payment, version, created, updated) VALUES ('held', '', 'paid', 'EUR', 0, 0, 0, 0, '', '', 1, now(), now())`)
		ctx, cancel := context.WithCancel(within(t))
		done := make(chan error, 1)
		go func() { done <- createorder.Create(ctx, db, sample("held", 1)) }()
		waitFor(t, done, func() bool {
			var waiting bool
			return db.Get(&waiting, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`) == nil && waiting
		}, "somebody else has inserted the order \"held\" and not committed yet: Create of the same one waits for that")
		cancel()
		select {
		case err := <-done:
			assert.ErrorIs(t, err, context.Canceled, "Create waits for somebody else's transaction, and its context is cancelled: its error")
		case <-time.After(3 * time.Second):
			assert.Fail(t, "Create does not return", "Create waits for somebody else's transaction, and its context was cancelled 3 s ago: begin the transaction in ctx, and send each statement in it")
		}
	})
}

func TestRefused(t *testing.T) {
	// refused fails unless Refused says want of err, bare and wrapped.
	refused := func(t *testing.T, want bool, err error, why string) {
		t.Helper()
		require.Equal(t, want, createorder.Refused(err), "Refused(%v), a %T: %s", err, err, why)
		require.Equal(t, want, createorder.Refused(fmt.Errorf("commit: %w", err)), "Refused of an error that wraps %v, a %T: as of that one. Ask errors.As and errors.Is, which look into it", err, err)
	}
	t.Run("the_server_said_no", func(t *testing.T) {
		refused(t, true, &pq.Error{Severity: "ERROR", Code: "40001", Message: "could not serialize access"}, "the server has answered, so it is known")
	})
	t.Run("the_server_rolled_back", func(t *testing.T) {
		refused(t, true, pq.ErrInFailedTransaction, "the server has answered COMMIT by ROLLBACK, so it is known")
	})
	t.Run("the_transaction_had_ended", func(t *testing.T) {
		refused(t, true, sql.ErrTxDone, "COMMIT was not sent, so it is known")
	})
	t.Run("the_context_was_done", func(t *testing.T) {
		for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
			refused(t, true, err, "COMMIT was not sent, so it is known")
		}
	})
	t.Run("nobody_knows", func(t *testing.T) {
		refused(t, true, sql.ErrTxDone, "COMMIT was not sent, so it is known")
		for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, net.ErrClosed, os.ErrDeadlineExceeded, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}} {
			refused(t, false, err, "the connection broke, perhaps after COMMIT was sent: nobody knows whether the order is kept")
		}
	})
}

// create calls Create, which has to return, in a context that ends soon.
func create(t *testing.T, db createorder.Beginner, o order.Order, also ...func(context.Context, *sqlx.Tx) error) error {
	t.Helper()
	return createIn(t, within(t), db, o, also...)
}

// createIn calls Create, which has to return.
func createIn(t *testing.T, ctx context.Context, db createorder.Beginner, o order.Order, also ...func(context.Context, *sqlx.Tx) error) error {
	t.Helper()
	done, fault := make(chan error, 1), ""
	go func() {
		var err error
		fault = panics.In(func() { err = createorder.Create(ctx, db, o, also...) })
		done <- err
	}()
	select {
	case err := <-done:
		require.Empty(t, fault, "Create of the order %.20q panicked", o.ID)
		return err
	case <-time.After(3 * time.Second):
		why := "Nothing here takes as long"
		if ctx.Err() != nil {
			why = "Its context has ended: begin the transaction in ctx, and send each statement in it"
		}
		require.Fail(t, "Create does not return", "Create of the order %.20q has not returned within 3 s. %s", o.ID, why)
		return nil
	}
}

// within is the context of a call. What has to be done takes some milliseconds.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// patient is the context of a call that does not end it before the leaf's end.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // a transaction that was left open would keep later leaves waiting
	return ctx
}

// define has the server run a statement that needs the table for itself.
func define(t *testing.T, db *sqlx.DB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := db.ExecContext(ctx, statement)
	require.NoError(t, err, "the test wants to define a trigger of the table orders. If that takes too long, an earlier order's transaction was left open, and keeps its locks: begin it in ctx, and roll it back")
}

// waitFor waits until cond holds; Create, whose result would be in done, still runs then.
func waitFor(t *testing.T, done <-chan error, cond func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); !cond(); {
		select {
		case err := <-done:
			require.Fail(t, "Create returned", "%s. It returned %v", what, err)
		case <-time.After(5 * time.Millisecond):
		}
		require.True(t, time.Now().Before(deadline), "within 3 s: %s", what)
	}
}

// sample is ada's order of n lines.
func sample(id string, n int) order.Order {
	euro := func(cents int) order.Money { return order.Money{Amount: int64(cents), Currency: "EUR"} }
	at := time.Date(2030, 1, 2, 19, 15, 0, 123456000, time.UTC)
	o := order.Order{
		ID: id, Customer: "ada", State: order.Paid, Method: "pm_card_visa", Payment: "pi_" + id, Version: 1, Created: at, Updated: at.Add(time.Second),
		Totals: order.Totals{Subtotal: euro(1000 * n), Discount: euro(50 * n), Tax: euro(190 * n), Total: euro(1140 * n)},
	}
	for i := range n {
		o.Lines = append(o.Lines, order.Line{Dish: fmt.Sprint("dish-", i), Name: fmt.Sprint("Dish ", i), Quantity: 1, Unit: euro(1000), Total: euro(1000)})
	}
	return o
}

// mail writes a mail into the outbox.
func mail(key string) func(context.Context, *sqlx.Tx) error {
	return func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, 'ada@shop.test', 'Thank you', 'It is on its way.')`, key)
		return err
	}
}

// said has the server refuse the order of that ID by an error of its own.
func said(t *testing.T, db *sqlx.DB, id, text, code, constraint string) {
	t.Helper()
	if constraint != "" {
		constraint = `, CONSTRAINT = '` + constraint + `'`
	}
	define(t, db, `CREATE FUNCTION say_`+id+`() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '`+text+`' USING ERRCODE = '`+code+`'`+constraint+`; END $$`)
	define(t, db, `CREATE TRIGGER say_`+id+` BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.id = '`+id+`') EXECUTE FUNCTION say_`+id+`()`)
}

// lines are the lines of the order that are kept, by position.
func lines(t *testing.T, db *sqlx.DB, id string) []string {
	t.Helper()
	var got []string
	require.NoError(t, db.Select(&got, `SELECT concat_ws(' ', dish, name, quantity, unit, total) FROM order_lines WHERE order_id = $1 ORDER BY position`, id))
	return got
}

// kept is how many orders of that ID there are.
func kept(t *testing.T, db *sqlx.DB, id string) int {
	t.Helper()
	var n int
	require.NoError(t, db.Get(&n, `SELECT count(*) FROM orders WHERE id = $1`, id))
	return n
}

// open opens a pool of its own, which is closed when the test ends.
func open(t *testing.T, databaseURL string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", databaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// cutter has one statement cut.
type cutter struct {
	prefix string
	fate   pgproxy.Fate
	done   chan struct{} // of room for one
}

func cutOnce(prefix string, fate pgproxy.Fate) *cutter {
	return &cutter{prefix, fate, make(chan struct{}, 1)}
}

func (c *cutter) judge(sql string) pgproxy.Fate {
	if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(sql)), c.prefix) {
		select {
		case c.done <- struct{}{}:
			return c.fate
		default: // was cut before
		}
	}
	return pgproxy.Pass
}
