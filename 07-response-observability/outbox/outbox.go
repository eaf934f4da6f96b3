// Package outbox keeps package worker at work: in a process that lives for months,
// beside a database that does not always answer, and a table that must not grow for
// ever.
//
//	POST /orders ─► store.Create ─► INSERT orders …; Paid: INSERT outbox …; COMMIT
//	                                                            │
//	Loop ─► worker.Work, one mail after the other ◄─ each Poll ─┘
//	   └──► counts what waits, and takes out what was sent long ago
//
// Any number of Loops may share one table, in one process or in many: each mail goes
// to one of them. See package worker for what is promised, and what cannot be.
//
// The trade-off: the table is asked each Poll, whether something is there or not. It
// is a look at a small index; LISTEN and NOTIFY would save it, and would need
// connections that no pool in front of the database may share.
//
// In the story, it is the boy who goes to the post box: every few minutes, and if
// somebody calls him.
package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/06-database-cache/pgfault"
	"clicktocode.example/07-response-observability/solution/enqueue"
	"clicktocode.example/07-response-observability/solution/worker"
)

const (
	maxWait    = 5 * time.Second  // between two attempts to reach the database
	countEvery = 5 * time.Second  // how old Stats is, mostly
	pruneEvery = time.Minute      // how often it is looked for what may go
	pruneBatch = 500              // rows in one statement, which locks them
	answerTime = 10 * time.Second // for the database to answer, in each step
)

// Paid returns what store.Config.Paid wants: it has the confirmation of an order
// (ordering.Confirmation) sent if, and only if, the transaction is committed in which
// the order becomes order.Paid. recipient is the address of a customer; where it
// returns "", no mail is sent. It must return soon, and may be called by many
// goroutines at once.
func Paid(recipient func(customer string) string) func(context.Context, *sqlx.Tx, order.Order) error {
	var table enqueue.Outbox // to write into tx, it needs nothing
	return func(ctx context.Context, tx *sqlx.Tx, o order.Order) error {
		to := recipient(o.Customer)
		if to == "" {
			return nil
		}
		return table.Enqueue(ctx, tx, ordering.Confirmation(o, to))
	}
}

// Config is what a Loop works with. DB and Mailer are required.
type Config struct {
	// DB has the table outbox, see chapter 6's schema. It stays the caller's, who
	// closes it after the Loop. Statements need limits of their own (package dbpool).
	DB *sqlx.DB
	// Mailer sends. Send must return soon after its context has ended.
	Mailer order.Mailer
	// Worker is for package worker. Batch is not used: mails are taken one at a time,
	// so that Close waits for one.
	Worker worker.Config
	// Poll is how long nobody looks into the table when nothing was due there. 0 means
	// a second.
	Poll time.Duration
	// Keep is how long a mail that was sent stays in the table, with its key: within
	// this time, a second one with the key is none. 0 means 7 days. Mails that are set
	// aside stay until a human takes them out.
	Keep time.Duration
	// Log gets what an operator should know, once and not each round: nil is
	// slog.Default().
	Log *slog.Logger
}

// Stats is what a Loop knows. What is in the table is the same for all Loops, and as
// old as At says; Sent and Failed are this Loop's own, since New.
type Stats struct {
	Due    int           // may be sent now
	Later  int           // is being sent, or is to be tried again later
	Dead   int           // is set aside, for a human
	Oldest time.Duration // the age of the oldest that is due or later, when it was counted; 0 if there is none
	At     time.Time     // when the four above were counted; zero before the first time

	Sent   uint64 // mails that the provider has taken
	Failed uint64 // attempts that failed
}

// Loop sends what is in the outbox. Make one with New, and Close it. Its methods may
// be called by many goroutines at once.
type Loop struct {
	c      Config
	mailer *watched

	ctx     context.Context // ends what is under way
	cancel  context.CancelFunc
	wake    chan struct{} // holds one call
	closing chan struct{} // closed by the first Close
	once    sync.Once
	done    chan struct{} // closed when the goroutine has ended

	// Of the goroutine alone:
	counted, pruned time.Time // when it did so last
	away, refused   bool      // the database, and the mailer, as was logged last
	broken          bool      // the last step was broken off; Close reads it after done

	mu    sync.Mutex // guards stats; not held while anything is waited for
	stats Stats
}

// New returns a Loop that is at work. It does not ask the database first: one that is
// away now is tried again. err names all faults of c at once.
func New(c Config) (*Loop, error) {
	c.Poll, c.Keep = cmp.Or(c.Poll, time.Second), cmp.Or(c.Keep, 7*24*time.Hour)
	c.Worker.Batch = 1
	c.Worker.Timeout, c.Worker.Lease = cmp.Or(c.Worker.Timeout, 10*time.Second), cmp.Or(c.Worker.Lease, 30*time.Second) // as there
	c.Log = cmp.Or(c.Log, slog.Default())
	var faults []error
	if c.DB == nil {
		faults = append(faults, errors.New("outbox: DB is nil"))
	}
	if c.Mailer == nil {
		faults = append(faults, errors.New("outbox: Mailer is nil"))
	}
	if c.Poll < 0 || c.Keep < 0 {
		faults = append(faults, fmt.Errorf("outbox: Poll is %s and Keep %s, neither may be negative", c.Poll, c.Keep))
	}
	if w := c.Worker; w.Timeout < 0 || w.Lease <= w.Timeout || w.Attempts < 0 || w.Backoff < 0 || w.MaxBackoff < 0 {
		faults = append(faults, fmt.Errorf("outbox: Worker is %+v: nothing may be negative, and Lease must be longer than Timeout, or two would send one mail", w))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	l := &Loop{c: c, mailer: &watched{Mailer: c.Mailer}, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.run()
	return l, nil
}

// Wake has the table looked into now, if Poll is not over. It never waits, and does
// nothing while the database is away, or once the Loop is closed. A mail is there when
// its transaction is committed, and not before.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already, or will be
	}
}

// Stats never waits for the database: what waits is counted every 5 s.
func (l *Loop) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close ends the Loop after the mail that is being sent, and waits for that. When ctx
// is done, the attempt is broken off: the mail is sent later, by who comes next, with
// the same key. Then the error wraps ctx's. To note the mail down may take up to 5 s
// beyond ctx, if the database does not answer. To close it again waits, too.
func (l *Loop) Close(ctx context.Context) error {
	l.once.Do(func() { close(l.closing) })
	defer context.AfterFunc(ctx, l.cancel)()
	<-l.done
	l.cancel()
	if l.broken {
		return fmt.Errorf("outbox: close: the mail at hand was broken off: %w", context.Cause(ctx))
	}
	return nil
}

func (l *Loop) run() {
	defer close(l.done)
	wait, wake := time.Duration(0), l.wake
	for l.sleep(wait, wake) {
		idle, err := l.step()
		l.broken = l.ctx.Err() != nil
		l.tell(err)
		switch {
		case err != nil: // a wake is nothing new then: without this, each order would try a database that is down
			wait, wake = min(max(2*wait, l.c.Poll, 10*time.Millisecond), maxWait), nil
		case idle:
			wait, wake = l.c.Poll, l.wake
		default:
			wait, wake = 0, nil
		}
	}
}

// sleep waits so long, or until wake, and reports whether the Loop goes on.
func (l *Loop) sleep(d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-l.closing:
	}
	select {
	case <-l.closing: // also if the timer was first
		return false
	default:
		return true
	}
}

// step counts and prunes, if it is time, and handles one mail. idle: there was none.
// Its error is the database's.
func (l *Loop) step() (idle bool, err error) {
	ctx, stop := context.WithTimeout(l.ctx, l.c.Worker.Timeout+answerTime) // a server that was unplugged answers nothing, and no error either
	defer stop()
	if now := time.Now(); now.Sub(l.counted) >= countEvery {
		if err := l.count(ctx); err != nil {
			return false, err
		}
		l.counted = now
	}
	more := false // to prune
	if now := time.Now(); now.Sub(l.pruned) >= pruneEvery {
		n, err := l.prune(ctx)
		if err != nil {
			return false, err
		}
		if more = n == pruneBatch; !more { // otherwise after the next mail
			l.pruned = now
		}
	}
	l.mailer.key, l.mailer.err = "", nil
	r, err := worker.Work(ctx, l.c.DB, l.mailer, l.c.Worker)
	l.mu.Lock()
	l.stats.Sent += uint64(r.Sent)
	l.stats.Failed += uint64(r.Later + r.Dead)
	l.mu.Unlock()
	if r.Dead > 0 {
		l.c.Log.Error("outbox: a mail is set aside: see the table outbox", "key", l.mailer.key, "err", l.mailer.err)
	}
	if refused := r.Later > 0; refused != l.refused && r.Sent+r.Later > 0 && l.ctx.Err() == nil {
		l.refused = refused
		if refused {
			l.c.Log.Warn("outbox: mails cannot be sent, and are tried again", "key", l.mailer.key, "err", l.mailer.err)
		} else {
			l.c.Log.Info("outbox: mails are sent again", "key", l.mailer.key)
		}
	}
	return r == worker.Result{} && !more, err
}

// count brings Stats up to date.
func (l *Loop) count(ctx context.Context) error {
	var n struct {
		Due, Later, Dead int
		Oldest           float64
	}
	err := l.c.DB.GetContext(ctx, &n, `SELECT
		count(*) FILTER (WHERE due <= now()) AS due, count(*) FILTER (WHERE due > now()) AS later,
		coalesce(extract(epoch FROM now() - min(created)), 0) AS oldest, (SELECT count(*) FROM outbox WHERE dead) AS dead
		FROM outbox WHERE sent IS NULL AND NOT dead`) // each by an index of what is not sent, whatever is kept beside it
	if err != nil {
		return fmt.Errorf("outbox: count: %w", pgfault.Of(ctx, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Due, l.stats.Later, l.stats.Dead, l.stats.At = n.Due, n.Later, n.Dead, time.Now()
	l.stats.Oldest = time.Duration(n.Oldest * float64(time.Second))
	return nil
}

// prune takes out a batch of what was sent longer ago than Keep. Rows that another
// Loop is taking out are passed over.
func (l *Loop) prune(ctx context.Context) (n int64, err error) {
	result, err := l.c.DB.ExecContext(ctx, `DELETE FROM outbox WHERE id IN (
		SELECT id FROM outbox WHERE sent < now() - $1 * interval '1 microsecond' ORDER BY sent LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		l.c.Keep.Microseconds(), pruneBatch)
	if err == nil {
		n, err = result.RowsAffected()
	}
	if err != nil {
		return 0, fmt.Errorf("outbox: prune: %w", pgfault.Of(ctx, err))
	}
	return n, nil
}

// tell logs when the database is away, and when it is back.
func (l *Loop) tell(err error) {
	if away := err != nil; away != l.away && l.ctx.Err() == nil {
		l.away = away
		if away {
			l.c.Log.Warn("outbox: the database does not answer, and is tried again", "err", err)
		} else {
			l.c.Log.Info("outbox: the database answers again")
		}
	}
}

// watched remembers the last mail, and what became of it. It is used by one goroutine.
type watched struct {
	order.Mailer
	key string
	err error
}

func (w *watched) Send(ctx context.Context, m order.Mail) error {
	w.key, w.err = m.Key, errors.New("the mailer has panicked")
	w.err = w.Mailer.Send(ctx, m)
	return w.err
}
