package outbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/sendgrid"
	"clicktocode.example/05-business-logic/sendgrid/standin"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/store"
	"clicktocode.example/07-response-observability/outbox"
	"clicktocode.example/07-response-observability/solution/worker"
)

func TestMain(m *testing.M) {
	if os.Getenv("OUTBOX_TEST_DATABASE") != "" {
		workUntilKilled()
	}
	goleak.VerifyTestMain(m)
}

// post is a mailer that keeps the keys of what it is given.
type post struct {
	mu   sync.Mutex
	sent []string
	do   func(ctx context.Context, m order.Mail) error
}

func (p *post) Send(ctx context.Context, m order.Mail) error {
	p.mu.Lock()
	p.sent = append(p.sent, m.Key)
	p.mu.Unlock()
	if p.do != nil {
		return p.do(ctx, m)
	}
	return nil
}

func (p *post) keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(what))
}

func start(t *testing.T, c outbox.Config) *outbox.Loop {
	t.Helper()
	if c.Poll == 0 {
		c.Poll = 5 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, err := outbox.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close(within(t, 5*time.Second))) })
	return l
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), d)
	t.Cleanup(stop)
	return ctx
}

func write(t *testing.T, db *sqlx.DB, keys ...string) {
	t.Helper()
	for _, key := range keys {
		_, err := db.ExecContext(t.Context(), `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, 'ada@example.com', 'Your order', 'Thank you.')`, key)
		require.NoError(t, err)
	}
}

// number is the first column of a query's only row.
func number(t *testing.T, db *sqlx.DB, query string) (n int) {
	t.Helper()
	require.NoError(t, db.GetContext(t.Context(), &n, query))
	return n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 5*time.Second, 2*time.Millisecond, what)
}

func TestLoop(t *testing.T) {
	db := pgtest.Open(t)
	leaf := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			db.MustExec(`DELETE FROM outbox`)
			f(t)
		})
	}

	leaf("sends_what_was_there_before_and_what_comes", func(t *testing.T) {
		write(t, db, "1", "2")
		p := &post{}
		l := start(t, outbox.Config{DB: db, Mailer: p})
		eventually(t, "what was there before", func() bool { return len(p.keys()) == 2 })
		write(t, db, "3")
		eventually(t, "what comes", func() bool { return l.Stats().Sent == 3 })
		assert.Equal(t, []string{"1", "2", "3"}, p.keys())
		assert.Equal(t, 3, number(t, db, `SELECT count(*) FROM outbox WHERE sent IS NOT NULL`), "what was sent stays, with its key")
	})

	leaf("is_woken", func(t *testing.T) {
		p := &post{}
		l := start(t, outbox.Config{DB: db, Mailer: p, Poll: time.Hour})
		eventually(t, "the first look", func() bool { return !l.Stats().At.IsZero() })
		write(t, db, "1")
		began := time.Now()
		for range 1000 {
			l.Wake()
		}
		assert.Less(t, time.Since(began), time.Second, "Wake never waits")
		// A wake may come between the first count and the first look for mail; then the second counts.
		eventually(t, "the mail, long before Poll is over", func() bool { l.Wake(); return len(p.keys()) == 1 })
	})

	leaf("several_share_a_table", func(t *testing.T) {
		p := &post{}
		for i := range 40 {
			write(t, db, fmt.Sprint(i))
		}
		loops := []*outbox.Loop{start(t, outbox.Config{DB: db, Mailer: p}), start(t, outbox.Config{DB: db, Mailer: p}), start(t, outbox.Config{DB: db, Mailer: p})}
		sent := func() (n int) {
			for _, l := range loops {
				n += int(l.Stats().Sent)
			}
			return n
		}
		eventually(t, "all mails", func() bool { return sent() == 40 })
		keys := p.keys()
		slices.Sort(keys)
		assert.Len(t, slices.Compact(keys), 40)
		assert.Len(t, p.keys(), 40, "each once")
	})

	leaf("counts_what_waits", func(t *testing.T) {
		db.MustExec(`INSERT INTO outbox (key, "to", subject, text, due, created, dead) VALUES
			('later', 'a', 's', 't', now() + interval '1 hour', now() - interval '1 hour', false),
			('dead', 'a', 's', 't', now(), now() - interval '2 hours', true)`)
		l := start(t, outbox.Config{DB: db, Mailer: &post{}})
		eventually(t, "the first count", func() bool { return !l.Stats().At.IsZero() })
		s := l.Stats()
		assert.InDelta(t, time.Hour, s.Oldest, float64(time.Minute), "the oldest that is not dead")
		s.At, s.Oldest = time.Time{}, 0
		assert.Equal(t, outbox.Stats{Later: 1, Dead: 1}, s)
	})

	leaf("tells_of_each_dead_mail_and_of_each_change", func(t *testing.T) {
		var log lines
		var away atomic.Bool
		away.Store(true)
		p := &post{do: func(_ context.Context, m order.Mail) error {
			switch {
			case m.Key == "never":
				return fmt.Errorf("no such address: %w", order.ErrInvalid)
			case away.Load():
				return fmt.Errorf("no route to the post: %w", order.ErrUnavailable)
			}
			return nil
		}}
		l := start(t, outbox.Config{DB: db, Mailer: p, Log: slog.New(slog.NewTextHandler(&log, nil)), Worker: worker.Config{Backoff: 2 * time.Millisecond, MaxBackoff: 2 * time.Millisecond, Attempts: 1000}})
		write(t, db, "never", "1", "2")
		eventually(t, "some attempts", func() bool { return l.Stats().Failed > 6 })
		away.Store(false)
		eventually(t, "both mails", func() bool { return l.Stats().Sent == 2 })
		eventually(t, "a line", func() bool { return log.count("mails are sent again") == 1 })
		assert.Equal(t, 1, log.count("a mail is set aside"), "lines of the one that never can be sent")
		assert.Equal(t, 1, log.count("key=never err=\"no such address"), "its key, and why")
		assert.Equal(t, 1, log.count("mails cannot be sent"), "lines of the provider that was away, whatever the number of attempts")
	})

	leaf("takes_out_what_was_sent_long_ago", func(t *testing.T) {
		db.MustExec(`INSERT INTO outbox (key, "to", subject, text, sent) SELECT 'old-' || n, 'a', 's', 't', now() - interval '3 hours' FROM generate_series(1, 1200) n`)
		db.MustExec(`INSERT INTO outbox (key, "to", subject, text, sent, dead, created, due) VALUES
			('young', 'a', 's', 't', now() - interval '1 hour', false, now() - interval '9 hours', now()),
			('dead', 'a', 's', 't', NULL, true, now() - interval '9 hours', now()),
			('later', 'a', 's', 't', NULL, false, now() - interval '9 hours', now() + interval '1 hour')`)
		start(t, outbox.Config{DB: db, Mailer: &post{}, Keep: 2 * time.Hour, Poll: time.Hour})
		eventually(t, "1200 rows in batches, without waiting for Poll", func() bool { return number(t, db, `SELECT count(*) FROM outbox WHERE key LIKE 'old-%'`) == 0 })
		assert.Equal(t, 3, number(t, db, `SELECT count(*) FROM outbox`), "what is young, set aside, or not sent stays")
	})
}

func TestClose(t *testing.T) {
	t.Run("ends_after_the_mail_at_hand", func(t *testing.T) {
		db := pgtest.Open(t)
		write(t, db, "1", "2")
		sending, goOn := make(chan struct{}), make(chan struct{})
		p := &post{do: func(ctx context.Context, _ order.Mail) error {
			close(sending)
			select {
			case <-goOn:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		l := start(t, outbox.Config{DB: db, Mailer: p})
		<-sending
		closed := make(chan error, 1)
		go func() { closed <- l.Close(within(t, 5*time.Second)) }()
		select {
		case err := <-closed:
			require.Fail(t, "Close has not waited for the mail at hand", "%v", err)
		case <-time.After(30 * time.Millisecond):
		}
		close(goOn)
		require.NoError(t, <-closed)
		assert.Equal(t, []string{"1"}, p.keys(), "no other mail is begun")
		assert.Equal(t, 1, number(t, db, `SELECT count(*) FROM outbox WHERE sent IS NOT NULL`), "the one at hand is noted")
		require.NoError(t, l.Close(within(t, time.Second)), "to close it again is fine")
	})

	t.Run("breaks_off_when_its_time_is_over", func(t *testing.T) {
		db := pgtest.Open(t)
		write(t, db, "1")
		sending := make(chan struct{})
		p := &post{do: func(ctx context.Context, _ order.Mail) error {
			close(sending)
			<-ctx.Done()
			return fmt.Errorf("%w: %w", order.ErrUnknown, ctx.Err())
		}}
		l, err := outbox.New(outbox.Config{DB: db, Mailer: p, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		<-sending
		began := time.Now()
		assert.ErrorIs(t, l.Close(within(t, 20*time.Millisecond)), context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Equal(t, 1, number(t, db, `SELECT count(*) FROM outbox WHERE sent IS NULL AND NOT dead AND due > now()`), "it is noted, and tried again later")
	})

	t.Run("does_not_wait_for_Poll", func(t *testing.T) {
		l := start(t, outbox.Config{DB: pgtest.Open(t), Mailer: &post{}, Poll: time.Hour})
		eventually(t, "the first look", func() bool { return !l.Stats().At.IsZero() })
		require.NoError(t, l.Close(within(t, 2*time.Second)))
	})
}

// cut is a connector whose database can be taken away.
type cut struct {
	driver.Connector
	away  atomic.Bool
	tried atomic.Int64
}

func (c *cut) Connect(ctx context.Context) (driver.Conn, error) {
	c.tried.Add(1)
	if c.away.Load() {
		return nil, errors.New("connection refused")
	}
	return c.Connector.Connect(ctx)
}

func TestAnOutageOfTheDatabase(t *testing.T) {
	db := pgtest.Open(t)
	cable := &cut{}
	cable.away.Store(true)
	pool, err := dbpool.Open(pgtest.URL(t), dbpool.Config{OpenDB: func(c driver.Connector) *sql.DB {
		cable.Connector = c
		return sql.OpenDB(cable)
	}})
	require.NoError(t, err)
	defer pool.Close()
	pool.SetMaxIdleConns(-1) // each statement connects
	var log lines
	p := &post{}
	l := start(t, outbox.Config{DB: pool, Mailer: p, Poll: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})

	eventually(t, "three attempts", func() bool { l.Wake(); return cable.tried.Load() >= 3 })
	began := time.Now()
	eventually(t, "two more", func() bool { l.Wake(); return cable.tried.Load() >= 5 })
	assert.Greater(t, time.Since(began), 100*time.Millisecond, "the wait doubles, whoever calls Wake: 10, 20, 40, 80, 160 ms")
	write(t, db, "1")
	cable.away.Store(false)
	eventually(t, "the mail, once the database is back", func() bool { return l.Stats().Sent == 1 })
	assert.Equal(t, 1, log.count("the database does not answer"), "lines, whatever the number of attempts")
	assert.Equal(t, 1, log.count("the database answers again"), "lines")
	assert.Equal(t, 1, log.count("connection refused"), "lines that say why")
}

func TestNewNamesAllFaults(t *testing.T) {
	_, err := outbox.New(outbox.Config{Poll: -1, Worker: worker.Config{Timeout: time.Minute}})
	for _, want := range []string{"DB is nil", "Mailer is nil", "Poll is -1ns", "Lease must be longer than Timeout"} {
		assert.ErrorContains(t, err, want)
	}
}

func confirmed(customer string) string {
	if customer == "nobody" {
		return ""
	}
	return customer + "@example.com"
}

func dinner(id, customer string) order.Order {
	euro := func(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }
	now := time.Now().UTC().Truncate(time.Microsecond)
	return order.Order{
		ID: id, Customer: customer, State: order.Paid, Method: "pm_card_visa", Payment: "pi_1", Version: 1, Created: now, Updated: now,
		Lines:  []order.Line{{Dish: "ramen", Name: "Ramen", Quantity: 1, Unit: euro(1250), Total: euro(1250)}},
		Totals: order.Totals{Subtotal: euro(1250), Discount: euro(0), Tax: euro(88), Total: euro(1338)},
	}
}

func mailer(host string) (*sendgrid.Client, error) {
	return sendgrid.New(sendgrid.Config{Key: standin.TestKey, Host: host, From: "The shop <orders@shop.test>"})
}

// workUntilKilled is another process with a Loop.
func workUntilKilled() {
	db, err := dbpool.Open(os.Getenv("OUTBOX_TEST_DATABASE"), dbpool.Config{})
	if err != nil {
		panic(err)
	}
	post, err := mailer(os.Getenv("OUTBOX_TEST_HOST"))
	if err != nil {
		panic(err)
	}
	if _, err = outbox.New(outbox.Config{DB: db, Mailer: post, Poll: 5 * time.Millisecond, Worker: worker.Config{Timeout: 400 * time.Millisecond, Lease: 500 * time.Millisecond}}); err != nil {
		panic(err)
	}
	time.Sleep(10 * time.Second) // its parent kills it
	os.Exit(1)
}

func TestAnOrderIsConfirmedOnce(t *testing.T) {
	db := pgtest.Open(t)
	kitchen, err := store.New(db, store.Config{Paid: outbox.Paid(confirmed)})
	require.NoError(t, err)
	mailbox, err := standin.New(standin.Config{})
	require.NoError(t, err)
	var reached atomic.Int64 // requests
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		mailbox.ServeHTTP(w, r)
	}))
	defer host.Close()
	url := pgtest.URL(t)

	t.Run("with_the_order_or_not_at_all", func(t *testing.T) {
		unpaid := dinner("order-1", "ada")
		unpaid.State, unpaid.Payment = order.Pending, ""
		require.NoError(t, kitchen.Create(t.Context(), unpaid))
		require.NoError(t, kitchen.Create(t.Context(), dinner("order-2", "nobody")))
		require.ErrorIs(t, kitchen.Create(t.Context(), dinner("order-2", "bob")), order.ErrExists)
		assert.Zero(t, number(t, db, `SELECT count(*) FROM outbox`), "one is not paid, of one nobody knows an address, and one was not kept")
		unpaid.State, unpaid.Payment = order.Paid, "pi_1"
		_, err := kitchen.Update(t.Context(), unpaid)
		require.NoError(t, err)
		assert.Equal(t, 1, number(t, db, `SELECT count(*) FROM outbox WHERE key = 'confirmation-order-1' AND "to" = 'ada@example.com'`), "it is paid now")
		db.MustExec(`DELETE FROM outbox`)
	})

	t.Run("through_a_worker_that_is_killed", func(t *testing.T) {
		mailbox.Next(standin.Fault{Delay: time.Minute}) // the first attempt has reached the provider, and hangs there
		require.NoError(t, kitchen.Create(t.Context(), dinner("order-3", "ada")))
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "OUTBOX_TEST_DATABASE="+url, "OUTBOX_TEST_HOST="+host.URL)
		require.NoError(t, child.Start())
		eventually(t, "the attempt of the one that will be killed", func() bool { return reached.Load() == 1 })
		require.NoError(t, child.Process.Kill())
		assert.Error(t, child.Wait())
		assert.Equal(t, 1, number(t, db, `SELECT count(*) FROM outbox WHERE sent IS NULL AND attempts = 1`), "it could note nothing")

		post, err := mailer(host.URL)
		require.NoError(t, err)
		defer post.Close()
		l := start(t, outbox.Config{DB: db, Mailer: post})
		eventually(t, "the second worker's, once the first one's lease is over", func() bool { return l.Stats().Sent == 1 })
		got := mailbox.Mailbox()
		require.Len(t, got, 1, "mails that the provider has")
		assert.Equal(t, map[string]string{"key": "confirmation-order-3"}, got[0].Args)
		assert.Equal(t, []string{"ada@example.com"}, got[0].To)
		assert.Contains(t, got[0].Text, "Total 13.38 EUR, which you have paid.")
		require.NoError(t, l.Close(within(t, time.Second)))
	})

	t.Run("or_twice_with_one_key_where_its_answer_was_lost", func(t *testing.T) {
		before := len(mailbox.Mailbox())
		mailbox.Next(standin.Fault{Work: true, Hangup: true})
		require.NoError(t, kitchen.Create(t.Context(), dinner("order-4", "ada")))
		post, err := mailer(host.URL)
		require.NoError(t, err)
		defer post.Close()
		l := start(t, outbox.Config{DB: db, Mailer: post, Worker: worker.Config{Backoff: time.Millisecond}})
		eventually(t, "the second attempt", func() bool { return l.Stats().Sent == 1 })
		got := mailbox.Mailbox()[before:]
		require.Len(t, got, 2, "nobody could know that the first was taken")
		assert.Equal(t, got[0].Args, got[1].Args, "by its key, the provider's events show that two are one")
		require.NoError(t, l.Close(within(t, time.Second)))
	})
}
