package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/07-response-observability/exercise/worker"
)

// post is a mailer that keeps what it is given.
type post struct {
	mu   sync.Mutex
	sent []string // keys, in the order in which they came
	do   func(ctx context.Context, m order.Mail) error
}

func (p *post) Send(ctx context.Context, m order.Mail) error {
	p.mu.Lock()
	p.sent = append(p.sent, m.Key)
	do := p.do
	p.mu.Unlock()
	if do != nil {
		return do(ctx, m)
	}
	return nil
}

func (p *post) keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.sent...)
}

var away = fmt.Errorf("no route to the post: %w", order.ErrUnavailable)

func fails(err error) *post { return &post{do: func(context.Context, order.Mail) error { return err }} }

// write puts a mail into the outbox, which has been due for so long.
func write(t *testing.T, db *sqlx.DB, key string, due time.Duration) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `INSERT INTO outbox (key, "to", subject, text, due) VALUES ($1, 'ada@example.com', 'Your order', 'Thank you.', now() - $2 * interval '1 microsecond')`, key, due.Microseconds())
	require.NoError(t, err)
}

// row is what the table says of a mail.
type row struct {
	Attempts   int
	Sent, Dead bool
	Wait       float64 // seconds until it is due
	Error      string
}

func look(t *testing.T, db *sqlx.DB, key string) (r row) {
	t.Helper()
	require.NoError(t, db.GetContext(t.Context(), &r, `SELECT attempts, sent IS NOT NULL AS sent, dead, extract(epoch FROM due - now())::float8 AS wait, error FROM outbox WHERE key = $1`, key))
	return r
}

// timePasses makes everything due so much earlier.
func timePasses(t *testing.T, db *sqlx.DB, d time.Duration) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `UPDATE outbox SET due = due - $1 * interval '1 microsecond'`, d.Microseconds())
	require.NoError(t, err)
}

// patience is how long Work may take. Once it has not returned, the others are not
// waited for as long.
var patience = 3 * time.Second

// hint is what to think about when Work does not return.
const hint = "Does its loop end, after Batch mails, when none is due, and at an error of ctx or of the database? Does the statement in take get ctx?"

// work is worker.Work, which gets three seconds.
func work(t *testing.T, db *sqlx.DB, mailer order.Mailer, c worker.Config) (worker.Result, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	return workIn(t, ctx, db, mailer, c)
}

// workIn is worker.Work, which has to return.
func workIn(t *testing.T, ctx context.Context, db *sqlx.DB, mailer order.Mailer, c worker.Config) (worker.Result, error) {
	t.Helper()
	type result struct {
		worker.Result
		err error
	}
	done := make(chan result, 1)
	go func() {
		r, err := attempt(ctx, db, mailer, c)
		done <- result{r, err}
	}()
	r := receive(t, done)
	return r.Result, r.err
}

// receive is what comes out of done, where Work has ended, or its context has.
func receive[T any](t *testing.T, done <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-done:
	case <-time.After(patience + patience/3):
		patience = 300 * time.Millisecond
		require.FailNow(t, "Work has not returned, though its context has ended, or there was nothing left to do", hint)
	}
	return v
}

// attempt is worker.Work. Its panics are errors.
func attempt(ctx context.Context, db *sqlx.DB, mailer order.Mailer, c worker.Config) (r worker.Result, err error) {
	if fault := panics.In(func() { r, err = worker.Work(ctx, db, mailer, c) }); fault != "" {
		return r, fmt.Errorf("Work has panicked: %s", fault)
	}
	return r, err
}

// blocked is how many others wait in the database for what tx has locked, once there
// are so many, or something is in ended, or after two seconds.
func blocked(t *testing.T, db *sqlx.DB, tx *sqlx.Tx, many int, ended <-chan error) (n int) {
	t.Helper()
	var pid int
	require.NoError(t, tx.GetContext(t.Context(), &pid, `SELECT pg_backend_pid()`))
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	for late := time.After(2 * time.Second); ; {
		require.NoError(t, db.GetContext(t.Context(), &n, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND $1 = ANY (pg_blocking_pids(pid))`, pid))
		if n >= many || len(ended) > 0 {
			return n
		}
		select {
		case <-every.C:
		case <-late:
			return n
		}
	}
}

func TestWork(t *testing.T) {
	db := pgtest.Open(t)
	// leaf gives each test an outbox that is empty.
	leaf := func(name string, f func(t *testing.T, db *sqlx.DB)) {
		t.Run(name, func(t *testing.T) {
			_, err := db.Exec(`DELETE FROM outbox`)
			require.NoError(t, err)
			f(t, db)
		})
	}
	leaf("sends_what_is_due", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		var got order.Mail
		p := &post{do: func(_ context.Context, m order.Mail) error { got = m; return nil }}
		r, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1"}, p.keys(), "one mail is due in the table outbox: the keys of what was sent")
		require.Equal(t, order.Mail{Key: "m-1", To: "ada@example.com", Subject: "Your order", Text: "Thank you."}, got, "the mail is what stands in its row")
		require.Equal(t, worker.Result{Sent: 1}, r, "the Result counts it")
		require.True(t, look(t, db, "m-1").Sent, "a mail that was sent is noted as such (noteSent)")
	})
	leaf("sends_nothing_twice", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		p := &post{}
		for range 2 {
			_, err := work(t, db, p, worker.Config{})
			require.NoError(t, err)
		}
		timePasses(t, db, time.Hour)
		_, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1"}, p.keys(), "Work was called three times, an hour lies between: the keys of what was sent")
	})
	leaf("sends_the_oldest_first_and_all_of_them", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "young", time.Second)
		write(t, db, "old", time.Hour)
		write(t, db, "middle", time.Minute)
		p := &post{}
		r, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"old", "middle", "young"}, p.keys(), "three mails are due, for an hour, a minute and a second")
		require.Equal(t, worker.Result{Sent: 3}, r)
	})
	leaf("handles_no_more_than_a_batch", func(t *testing.T, db *sqlx.DB) {
		for i := range 5 {
			write(t, db, fmt.Sprint("m-", i), time.Hour-time.Duration(i)*time.Minute)
		}
		p := &post{do: func(_ context.Context, m order.Mail) error {
			return map[string]error{"m-0": away, "m-1": away}[m.Key]
		}}
		r, err := work(t, db, p, worker.Config{Batch: 3})
		require.NoError(t, err)
		require.Equal(t, []string{"m-0", "m-1", "m-2"}, p.keys(), "five mails are due, of which the first two cannot be sent, and Batch is 3: what could not be sent has been handled, too")
		require.Equal(t, worker.Result{Sent: 1, Later: 2}, r, "five mails are due, and Batch is 3")
	})
	leaf("leaves_what_is_not_due", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "tomorrow", -24*time.Hour)
		write(t, db, "dead", time.Second)
		write(t, db, "now", time.Second)
		_, err := db.Exec(`UPDATE outbox SET dead = true WHERE key = 'dead'`)
		require.NoError(t, err)
		p := &post{}
		_, err = work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"now"}, p.keys(), "one mail is due tomorrow, one is dead, one is due")
	})
	leaf("tries_again_later", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		p := fails(away)
		r, err := work(t, db, p, worker.Config{Backoff: time.Minute, MaxBackoff: time.Hour})
		require.NoError(t, err, "that a mail could not be sent is no error of Work's")
		require.Equal(t, []string{"m-1"}, p.keys(), "the mail was tried, once: after a failure it waits")
		require.Equal(t, worker.Result{Later: 1}, r)
		got := look(t, db, "m-1")
		require.False(t, got.Sent, "Send returned %q, and the mail is noted as sent, or is no longer there: it is lost. What is not yet sent must not be crossed off", away)
		require.False(t, got.Dead, "the post was away at the first attempt: that passes")
		require.Equal(t, 1, got.Attempts, "attempts")
		require.InDelta(t, 45, got.Wait, 16, "seconds until the mail is due again, after a first attempt with a Backoff of a minute: from half of it to all of it (noteLater)")
		require.Contains(t, got.Error, "no route to the post", "why it failed is kept, for who looks into the table")
		timePasses(t, db, time.Minute)
		well := &post{}
		_, err = work(t, db, well, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1"}, well.keys(), "a minute later, with the post back again: the same mail with the same key")
	})
	leaf("tries_again_what_may_have_been_sent", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		r, err := work(t, db, fails(fmt.Errorf("reset: %w", order.ErrUnknown)), worker.Config{})
		require.NoError(t, err)
		require.Equal(t, worker.Result{Later: 1}, r, "nobody knows whether the mail was sent: twice is better than never")
	})
	leaf("one_that_fails_does_not_hold_up_the_others", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "bad", time.Hour)
		write(t, db, "good", time.Second)
		p := &post{do: func(_ context.Context, m order.Mail) error {
			if m.Key == "bad" {
				return away
			}
			return nil
		}}
		r, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"bad", "good"}, p.keys(), "two mails are due, and the older one cannot be sent")
		require.Equal(t, worker.Result{Sent: 1, Later: 1}, r)
	})
	leaf("waits_longer_each_time", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		c := worker.Config{Backoff: time.Minute, MaxBackoff: 10 * time.Minute, Attempts: 100}
		for attempt, want := range []float64{60, 120, 240, 480, 600, 600} {
			_, err := work(t, db, fails(away), c)
			require.NoError(t, err)
			got := look(t, db, "m-1")
			require.Equal(t, attempt+1, got.Attempts, "attempts")
			require.InDelta(t, want*3/4, got.Wait, want/4+1, "seconds until it is due again after attempt %d, with a Backoff of 60s that doubles, and a MaxBackoff of 600s: from %v to %v", attempt+1, want/2, want)
			timePasses(t, db, 10*time.Minute)
		}
	})
	leaf("does_not_overflow", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		_, err := db.Exec(`UPDATE outbox SET attempts = 99`)
		require.NoError(t, err)
		_, err = work(t, db, fails(away), worker.Config{Backoff: time.Minute, MaxBackoff: time.Hour, Attempts: 1000})
		require.NoError(t, err)
		require.InDelta(t, 2700, look(t, db, "m-1").Wait, 901, "seconds until it is due again after attempt 100, with a MaxBackoff of an hour: a time that is doubled a hundred times does not fit into 64 bits")
	})
	leaf("spreads_its_waits", func(t *testing.T, db *sqlx.DB) {
		for _, attempts := range []int{0, 6} {
			_, err := db.Exec(`DELETE FROM outbox`)
			require.NoError(t, err)
			for i := range 20 {
				write(t, db, fmt.Sprint("m-", i), time.Second)
			}
			_, err = db.Exec(`UPDATE outbox SET attempts = $1`, attempts)
			require.NoError(t, err)
			c := worker.Config{Backoff: time.Hour, MaxBackoff: time.Hour, Batch: 20}
			if attempts > 0 {
				c.Backoff = 10 * time.Minute
			}
			_, err = work(t, db, fails(away), c)
			require.NoError(t, err)
			var got struct {
				Minutes     int
				Least, Most float64
			}
			require.NoError(t, db.Get(&got, `SELECT count(DISTINCT floor(wait / 60)) AS minutes, min(wait) AS least, max(wait) AS most
				FROM (SELECT extract(epoch FROM due - now())::float8 AS wait FROM outbox) AS waits`))
			require.Greater(t, got.Minutes, 5, "twenty mails failed together, at attempt %d, with a Backoff of %v and a MaxBackoff of an hour: the different minutes in which they are due again. If they come back together, the post is overrun the moment it is up (jitter). The random part is taken last, of the wait that MaxBackoff has cut", attempts+1, c.Backoff)
			require.Greater(t, got.Least, 1700.0, "the same twenty mails: seconds until the first one is due again. The random part is at least half of an hour")
			require.LessOrEqual(t, got.Most, 3600.0, "the same twenty mails: seconds until the last one is due again. MaxBackoff is an hour")
		}
	})
	leaf("waits_no_longer_than_the_most", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		_, err := work(t, db, fails(away), worker.Config{Backoff: 24 * time.Hour})
		require.NoError(t, err)
		require.InDelta(t, 2700, look(t, db, "m-1").Wait, 901, "seconds until it is due again after the first attempt, with a Backoff of a day and a MaxBackoff of 0, which means an hour: that bounds each wait, the first one, too")
	})
	leaf("sets_poison_aside", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "poison", time.Second)
		r, err := work(t, db, fails(fmt.Errorf("no such address: %w", order.ErrInvalid)), worker.Config{})
		require.NoError(t, err)
		require.Equal(t, worker.Result{Dead: 1}, r, "Send returned order.ErrInvalid: this mail can never be sent, and each further attempt is in vain")
		got := look(t, db, "poison")
		require.True(t, got.Dead, "it is set aside (noteDead)")
		require.Contains(t, got.Error, "no such address", "why is kept, for the human who looks at it")
	})
	leaf("gives_up_in_the_end", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		var all worker.Result
		for range 5 {
			r, err := work(t, db, fails(away), worker.Config{Attempts: 3})
			require.NoError(t, err)
			all.Later, all.Dead = all.Later+r.Later, all.Dead+r.Dead
			timePasses(t, db, 24*time.Hour)
		}
		require.Equal(t, worker.Result{Later: 2, Dead: 1}, all, "a mail that fails each time, with Attempts 3 and five rounds: without a limit, what can never be sent is tried for ever, and more of it each day")
		require.Equal(t, 3, look(t, db, "m-1").Attempts)
	})
	leaf("sets_aside_what_kills_its_workers", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		_, err := db.Exec(`UPDATE outbox SET attempts = 3`) // three workers took it, and have noted nothing
		require.NoError(t, err)
		p := &post{}
		r, err := work(t, db, p, worker.Config{Attempts: 3})
		require.NoError(t, err)
		require.Equal(t, worker.Result{Dead: 1}, r, "a mail was taken three times, with Attempts 3, and no worker has lived to note what became of it")
		require.Empty(t, p.keys(), "it is not sent: this worker would be the next")
	})
	leaf("passes_over_what_another_is_taking", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "taken", time.Hour)
		write(t, db, "free", time.Second)
		other, err := db.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer other.Rollback()
		_, err = other.Exec(`SELECT id FROM outbox WHERE key = 'taken' FOR UPDATE`)
		require.NoError(t, err)
		p := &post{}
		r, err := work(t, db, p, worker.Config{})
		require.Equal(t, []string{"free"}, p.keys(), "the oldest mail's row is locked by another worker: it is passed over, and not waited for (SKIP LOCKED). Work returned %v", err)
		require.NoError(t, err)
		require.Equal(t, worker.Result{Sent: 1}, r)
	})
	leaf("keeps_nothing_locked_while_it_sends", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		var open int
		p := &post{do: func(ctx context.Context, _ order.Mail) error {
			return db.GetContext(ctx, &open, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`)
		}}
		_, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1"}, p.keys())
		require.Zero(t, open, "transactions that were open while the mail was being sent: the post takes seconds, and each worker would keep a connection, a lock, and old rows from being cleaned up, for as long")
	})
	leaf("two_that_take_at_once_take_two", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "first", time.Hour)
		write(t, db, "second", time.Second)
		// As long as this lock is there, everybody may look into the table, and lock a row
		// of it, but nobody may change one.
		lock, err := db.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer lock.Rollback()
		_, err = lock.Exec(`LOCK TABLE outbox IN SHARE MODE`)
		require.NoError(t, err)
		p := &post{}
		ended := make(chan error, 2)
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		for range 2 {
			go func() { _, err := attempt(ctx, db, p, worker.Config{}); ended <- err }()
		}
		blocked(t, db, lock, 2, ended)
		require.NoError(t, lock.Rollback())
		for range 2 {
			assert.NoError(t, receive(t, ended))
		}
		require.ElementsMatch(t, []string{"first", "second"}, p.keys(), "two mails are due, and two workers come at the same moment: what they have sent, together. To look for a row and to take it is one statement, UPDATE … WHERE id = (SELECT … FOR UPDATE SKIP LOCKED). A lock lasts as long as its transaction: between two statements, the other worker finds the same row")
	})
	leaf("two_workers_share", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "first", time.Hour)
		write(t, db, "second", time.Second)
		sending, goOn := make(chan struct{}), make(chan struct{})
		slow := &post{do: func(context.Context, order.Mail) error { close(sending); <-goOn; return nil }}
		ended := make(chan error, 1)
		go func() { _, err := attempt(context.Background(), db, slow, worker.Config{Batch: 1}); ended <- err }()
		select {
		case <-sending:
		case <-time.After(2 * time.Second):
			require.Fail(t, "the first worker has sent nothing", "two mails are due")
		}
		quick := &post{}
		_, err := work(t, db, quick, worker.Config{})
		close(goOn)
		require.NoError(t, err)
		require.Equal(t, []string{"second"}, quick.keys(), "a worker sends the first mail, and takes its time; another one comes: what that sends. The first is put off until its lease is over")
		require.NoError(t, receive(t, ended))
		require.True(t, look(t, db, "first").Sent)
	})
	leaf("what_a_dead_worker_had_comes_back", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		sending, goOn := make(chan struct{}), make(chan struct{})
		dying := &post{do: func(context.Context, order.Mail) error { close(sending); <-goOn; return away }}
		ended := make(chan error, 1)
		go func() {
			_, err := attempt(context.Background(), db, dying, worker.Config{Lease: time.Minute, Timeout: 20 * time.Second})
			ended <- err
		}()
		select {
		case <-sending:
		case <-time.After(2 * time.Second):
			require.Fail(t, "the worker has sent nothing", "a mail is due")
		}
		lease := look(t, db, "m-1").Wait
		next := &post{}
		_, err := work(t, db, next, worker.Config{})
		require.NoError(t, err)
		early := next.keys()
		timePasses(t, db, time.Minute)
		_, err = work(t, db, next, worker.Config{})
		after := look(t, db, "m-1")
		close(goOn) // it was not dead after all, and notes that it has failed
		late := receive(t, ended)
		require.NoError(t, err)
		require.InDelta(t, 50, lease, 10.1, "a worker sends the mail, with a Lease of a minute and a Timeout of 20 s: seconds until another one may take it. PostgreSQL is told the lease in a unit of its own: $1 * interval '1 microsecond' takes microseconds")
		require.Empty(t, early, "a worker has the mail, and its Lease of a minute is not over: what another one sends")
		require.Equal(t, []string{"m-1"}, next.keys(), "a worker has taken the mail a minute ago, and was not heard of since: when its Lease is over, the next one sends the mail, with the same key. Whoever crosses it off before it is sent loses it with his life")
		require.True(t, after.Sent)
		require.NoError(t, late)
		require.True(t, look(t, db, "m-1").Sent, "the first one was not dead but slow, and came back with a failure: what the second has noted stands")
	})
	leaf("notes_what_was_sent_also_when_time_is_up", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Hour)
		write(t, db, "m-2", time.Second)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		p := &post{do: func(context.Context, order.Mail) error { stop(); return nil }}
		r, err := workIn(t, ctx, db, p, worker.Config{})
		require.Equal(t, []string{"m-1"}, p.keys(), "ctx ended while the first mail was being sent: no other one is begun")
		require.True(t, look(t, db, "m-1").Sent, "the first was sent, and has to be noted as such: otherwise it is sent again")
		require.ErrorIs(t, err, context.Canceled, "the error is ctx's")
		require.Equal(t, worker.Result{Sent: 1}, r, "what was done before the error is in the Result all the same: somebody counts it")
	})
	leaf("ends_an_attempt_with_its_context", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := false
		p := &post{do: func(ctx context.Context, _ order.Mail) error {
			stop()
			select {
			case <-ctx.Done():
				ended = true
			case <-time.After(time.Second):
			}
			return errors.Join(order.ErrUnknown, ctx.Err())
		}}
		r, _ := workIn(t, ctx, db, p, worker.Config{})
		require.Equal(t, []string{"m-1"}, p.keys(), "one mail is due in the table outbox: the keys of what was sent")
		require.True(t, ended, "Work's context ended while the mail was being sent, and a second later that of Send has not: the worker is told to end, and whoever told it does not wait for a slow post. Send's context is made of ctx")
		require.Equal(t, worker.Result{Later: 1}, r, "nobody knows whether it was sent: it is tried again")
	})
	leaf("stops_waiting_for_the_database_when_its_context_ends", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		lock, err := db.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer lock.Rollback()
		_, err = lock.Exec(`LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		done := make(chan error, 1)
		go func() { _, err := attempt(ctx, db, &post{}, worker.Config{}); done <- err }()
		require.Equal(t, 1, blocked(t, db, lock, 1, done), "a mail is due, and somebody has locked the table: workers that wait for it")
		stop()
		returned := false
		select {
		case err = <-done:
			returned = true
		case <-time.After(2 * time.Second):
		}
		require.NoError(t, lock.Rollback())
		require.True(t, returned, "somebody has locked the table, and Work's context ended while take waited for it: it waits still. The statement gets ctx, too (QueryRowxContext)")
		require.ErrorIs(t, err, context.Canceled, "the error is ctx's: the driver says only that the statement was cancelled, and pgfault.Of says why")
	})
	leaf("gives_each_attempt_a_deadline", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		p := &post{do: func(ctx context.Context, _ order.Mail) error {
			select {
			case <-ctx.Done():
				return errors.Join(order.ErrUnknown, ctx.Err())
			case <-time.After(2 * time.Second):
				return nil
			}
		}}
		r, err := work(t, db, p, worker.Config{Timeout: 50 * time.Millisecond})
		require.NoError(t, err)
		require.Equal(t, worker.Result{Later: 1}, r, "a post that does not answer, with a Timeout of 50ms: send ends the attempt, and it counts as one that failed")
	})
	leaf("says_that_the_database_is_away", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		p := &post{}
		_, err := work(t, db, p, worker.Config{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1"}, p.keys())
		closed := pgtest.Open(t)
		write(t, closed, "m-1", time.Hour)
		write(t, closed, "m-2", time.Second)
		closing := &post{do: func(_ context.Context, m order.Mail) error {
			if m.Key == "m-2" {
				return closed.Close()
			}
			return nil
		}}
		r, err := work(t, closed, closing, worker.Config{Batch: 2})
		require.Error(t, err, "Work with a database that goes away while the mail is being sent: what became of it could not be noted, and will be sent again. Who runs the worker has to hear of it")
		require.Positive(t, r.Sent, "Result.Sent, where a first mail was sent and noted, and then the database went away: what was done before the error is in the Result all the same")
		_, err = work(t, closed, p, worker.Config{})
		require.Error(t, err, "Work with a database that is closed: the loop around it must know, or it would think that nothing is due")
	})
}

// The zero Config is filled in.
//
//workshop:guard TestEmpty/...
func TestEmpty(t *testing.T) {
	t.Run("has_nothing_to_do", func(t *testing.T) {
		r, err := work(t, pgtest.Open(t), &post{}, worker.Config{})
		assert.NoError(t, err)
		assert.Zero(t, r)
	})
}
