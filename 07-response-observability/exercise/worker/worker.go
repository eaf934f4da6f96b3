// Package worker does what was written down to be done later: it takes mails out
// of the table outbox (package enqueue), and hands them to whoever sends them.
//
// It promises that each mail is sent at least once, and mostly once. More cannot be
// promised: whoever sends a mail and dies before he has noted it down leaves nobody
// who knows. So a mail has a key, the same at each attempt, by which a provider, or
// a human, can tell that two are one.
//
//	take    its next attempt is put off, so that nobody else takes it; one short statement
//	send    no transaction is open, and no row is locked
//	note    sent, or tried again later, or set aside
//
// A worker that dies has noted nothing. Its mail is due again when the time is over
// for which it was put off (its lease), and another worker takes it.
//
// In the story, whoever goes by the post box takes a receipt from the hook, and
// chalks his initials and the hour on the board. If he has not come back an hour
// later, the next one goes.
//
// Source: PostgreSQL's manual, SELECT, "The Locking Clause" (SKIP LOCKED); "Exponential
// Backoff And Jitter" (M. Brooker, AWS Architecture Blog, 2015).
package worker

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
)

// Config says how hard to try. The zero value is usable.
type Config struct {
	// Batch is how many mails one call of Work handles at most. 0 means 10.
	Batch int
	// Attempts is how often a mail is tried before it is set aside. 0 means 10.
	Attempts int
	// Backoff is the wait after the first attempt. It doubles with each, up to
	// MaxBackoff. 0 means 5 s, and an hour.
	Backoff, MaxBackoff time.Duration
	// Timeout bounds one attempt, and Lease is for how long a mail is this worker's
	// when it was taken. 0 means 10 s, and 30 s. Lease must be longer than Timeout:
	// otherwise another worker would take what this one still sends.
	Timeout, Lease time.Duration
}

// Result is what became of the mails that a call of Work has taken.
type Result struct {
	Sent  int
	Later int // to be tried again
	Dead  int // set aside
}

// Job is a mail that was taken.
type Job struct {
	ID       int64 // its row
	Mail     order.Mail
	Attempts int // how often it was taken, this time included
}

// Work sends mails that are due, one after the other, and returns when none is
// due any more, Batch have been handled, or ctx has ended. Several may be at work at
// once, in one process or in many: each mail goes to one of them.
//
// A mail that was sent (Send returns nil) is noted as such. If it never can be
// (order.ErrInvalid), or this was attempt number Attempts, it is dead: it stays in
// the table for a human, and is not taken again. After each other error it is tried
// again, after a wait; so is one of which nobody knows whether it was sent
// (order.ErrUnknown), because a mail that comes twice is better than none. What
// becomes of one mail changes nothing for the others.
//
// A mail that was taken more often than Attempts has had workers that did not live
// to note anything: it is dead without being sent.
//
// Each Send has a context that ends after Timeout, or with ctx. What became of a mail
// is noted also if ctx has ended meanwhile.
//
// The error is that of the database, or ctx's, wrapped (see pgfault.Of); what was done
// before it is in the Result all the same. What a mail's Send returns is none of Work's.
func Work(ctx context.Context, db *sqlx.DB, mailer order.Mailer, c Config) (Result, error) {
	c = c.filled()
	var done Result
	// TODO(worker): Up to c.Batch times: take a job, send it within c.Timeout, and note what became
	// of it: noteSent, noteLater (after wait), or noteDead. done counts them. What does
	// not depend on the mail ends the loop: ctx, and the database's errors.
	// The reference imports, besides what stands above: "clicktocode.example/06-database-cache/pgfault", "errors", "math/rand/v2".
	return done, nil
}

// take takes the mail that has been due for longest, puts its next attempt off for
// lease, and counts the attempt, all in one statement. sql.ErrNoRows: none is due. A
// row that somebody else has locked is passed over, and not waited for.
func take(ctx context.Context, db *sqlx.DB, lease time.Duration) (Job, error) {
	// TODO(worker): An UPDATE of outbox that sets due and attempts, of the one row that a SELECT in
	// its WHERE finds, and RETURNING what scan reads. The SELECT: sent IS NULL AND NOT
	// dead AND due <= now(), by due and id, LIMIT 1, and its locking clause.
	return Job{}, sql.ErrNoRows
}

// scan reads a row of id, key, "to", subject, text and attempts.
func scan(row *sqlx.Row) (j Job, err error) {
	err = row.Scan(&j.ID, &j.Mail.Key, &j.Mail.To, &j.Mail.Subject, &j.Mail.Text, &j.Attempts)
	return j, err
}

// wait is how long to wait after so many attempts, at least 1: c.Backoff, doubled
// with each attempt after the first, and at most c.MaxBackoff, also where c.Backoff alone
// is more. Of that, it is a random part, from half of it to all of it: mails that failed
// together, because the provider was away, shall not come back together.
func wait(c Config, attempts int) time.Duration {
	// TODO(worker): Mind the overflow: 5 s doubled forty times is a negative number. rand.N(d) is a
	// random time from 0 to less than d.
	return c.Backoff
}

// send hands the job's mail to mailer, and gives it so long. A panic of the mailer's
// is an error: one mail must not end the worker of all.
func send(ctx context.Context, mailer order.Mailer, j Job, timeout time.Duration) (err error) {
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("worker: mail %q: panic: %v", j.Mail.Key, v)
		}
	}()
	return mailer.Send(ctx, j.Mail)
}

// noteSent, noteLater and noteDead note what became of j, if it is still this
// worker's: if its lease was over, and another has taken it, they change nothing.
// They do so also when ctx has ended.
func noteSent(ctx context.Context, db *sqlx.DB, j Job) error {
	return note(ctx, db, `UPDATE outbox SET sent = now(), error = '' WHERE id = $1 AND attempts = $2 AND sent IS NULL`, j.ID, j.Attempts)
}

// noteLater is described at noteSent. why is kept with the mail.
func noteLater(ctx context.Context, db *sqlx.DB, j Job, wait time.Duration, why error) error {
	return note(ctx, db, `UPDATE outbox SET due = now() + $3 * interval '1 microsecond', error = $4 WHERE id = $1 AND attempts = $2 AND sent IS NULL`,
		j.ID, j.Attempts, wait.Microseconds(), text(why))
}

// noteDead is described at noteSent. why is kept with the mail.
func noteDead(ctx context.Context, db *sqlx.DB, j Job, why error) error {
	return note(ctx, db, `UPDATE outbox SET dead = true, error = $3 WHERE id = $1 AND attempts = $2 AND sent IS NULL`, j.ID, j.Attempts, text(why))
}

// noteTime is how long a note may take.
const noteTime = 5 * time.Second

func note(ctx context.Context, db *sqlx.DB, statement string, args ...any) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), noteTime) // sent and not noted is sent again
	defer stop()
	_, err := db.ExecContext(ctx, statement, args...)
	return err
}

// text is err's, as the table may keep it.
func text(err error) string {
	const most = 500
	return fmt.Sprintf("%.*q", most, err.Error())
}

func (c Config) filled() Config {
	or := func(d *time.Duration, fallback time.Duration) {
		if *d == 0 {
			*d = fallback
		}
	}
	if c.Batch == 0 {
		c.Batch = 10
	}
	if c.Attempts == 0 {
		c.Attempts = 10
	}
	or(&c.Backoff, 5*time.Second)
	or(&c.MaxBackoff, time.Hour)
	or(&c.Timeout, 10*time.Second)
	or(&c.Lease, 30*time.Second)
	return c
}
