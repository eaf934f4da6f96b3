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

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/07-response-observability/solution/worker"
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

// work is worker.Work, which gets three seconds.
func work(t *testing.T, db *sqlx.DB, mailer order.Mailer, c worker.Config) (worker.Result, error) {
	t.Helper()
	type result struct {
		worker.Result
		err error
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	done := make(chan result, 1)
	go func() {
		r, err := worker.Work(ctx, db, mailer, c)
		done <- result{r, err}
	}()
	select {
	case r := <-done:
		return r.Result, r.err
	case <-time.After(4 * time.Second):
		require.Fail(t, "Work has not returned, though its context has ended")
		return worker.Result{}, nil
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
		for i := range 3 {
			write(t, db, fmt.Sprint("m-", i), time.Second)
		}
		p := &post{}
		r, err := work(t, db, p, worker.Config{Batch: 2})
		require.NoError(t, err)
		require.Equal(t, worker.Result{Sent: 2}, r, "three mails are due, and Batch is 2")
		require.Len(t, p.keys(), 2)
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
		for i := range 20 {
			write(t, db, fmt.Sprint("m-", i), time.Second)
		}
		_, err := work(t, db, fails(away), worker.Config{Backoff: time.Hour, MaxBackoff: time.Hour, Batch: 20})
		require.NoError(t, err)
		var minutes int
		require.NoError(t, db.Get(&minutes, `SELECT count(DISTINCT floor(extract(epoch FROM due - now()) / 60)) FROM outbox`))
		require.Greater(t, minutes, 5, "twenty mails failed together, with a Backoff of an hour: the different minutes in which they are due again. If they come back together, the post is overrun the moment it is up (jitter)")
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
	leaf("two_workers_share", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "first", time.Hour)
		write(t, db, "second", time.Second)
		sending, goOn := make(chan struct{}), make(chan struct{})
		slow := &post{do: func(context.Context, order.Mail) error { close(sending); <-goOn; return nil }}
		ended := make(chan error, 1)
		go func() { _, err := worker.Work(context.Background(), db, slow, worker.Config{Batch: 1}); ended <- err }()
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
		require.NoError(t, <-ended)
		require.True(t, look(t, db, "first").Sent)
	})
	leaf("what_a_dead_worker_had_comes_back", func(t *testing.T, db *sqlx.DB) {
		write(t, db, "m-1", time.Second)
		sending, goOn := make(chan struct{}), make(chan struct{})
		dying := &post{do: func(context.Context, order.Mail) error { close(sending); <-goOn; return away }}
		ended := make(chan error, 1)
		go func() {
			_, err := worker.Work(context.Background(), db, dying, worker.Config{Lease: time.Minute, Timeout: 50 * time.Second})
			ended <- err
		}()
		select {
		case <-sending:
		case <-time.After(2 * time.Second):
			require.Fail(t, "the worker has sent nothing", "a mail is due")
		}
		next := &post{}
		_, err := work(t, db, next, worker.Config{})
		require.NoError(t, err)
		early := next.keys()
		timePasses(t, db, time.Minute)
		_, err = work(t, db, next, worker.Config{})
		after := look(t, db, "m-1")
		close(goOn) // it was not dead after all, and notes that it has failed
		late := <-ended
		require.NoError(t, err)
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
		_, err := worker.Work(ctx, db, p, worker.Config{})
		require.Equal(t, []string{"m-1"}, p.keys(), "ctx ended while the first mail was being sent: no other one is begun")
		require.True(t, look(t, db, "m-1").Sent, "the first was sent, and has to be noted as such: otherwise it is sent again")
		require.ErrorIs(t, err, context.Canceled, "the error is ctx's")
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
		require.NoError(t, closed.Close())
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
