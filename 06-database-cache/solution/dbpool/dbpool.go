// Package dbpool keeps connections to PostgreSQL: so many and no more, each with
// limits of its own, so that one slow thing does not become everybody's.
//
// A connection costs: a trip or three to open it, and at the server a process of
// some megabytes. So they are kept, and shared. A pool without a bound opens one for
// each request, and a rush takes the server down for all; with a bound, requests
// wait, and a wait must end. In the story: the pantry has so many doors. Who finds
// them all taken waits a moment, and not all evening; and nobody stays inside.
//
//	request ─► Acquire ─► a free connection ─► statements ─► Close: free again
//	               └► none within wait: ErrBusy
//
// How many? The database does at once what its cores and disks can do. A few times
// its cores, over all replicas together, is much; more of them only wait for each
// other. See the PostgreSQL wiki, "Number Of Database Connections".
//
// The trade-off: each limit ends something that might have succeeded. Without it,
// though, a transaction that somebody forgot locks rows for ever.
//
// Source: database/sql's documentation of DB; PostgreSQL's manual, "Client Connection
// Defaults" (20.11).
package dbpool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"clicktocode.example/05-business-logic/order"
)

// ErrBusy: no connection came free in time. It is an order.ErrUnavailable.
var ErrBusy = fmt.Errorf("dbpool: no connection is free: %w", order.ErrUnavailable)

// Config is how a pool is to be. The zero value is fine for a replica of three.
// No field may be negative.
type Config struct {
	// Application is the name by which the server lists the pool's connections
	// (application_name in pg_stat_activity). Empty means "orders".
	Application string
	// MaxOpen is how many connections there are at most, in use or not. 0 means 10.
	MaxOpen int
	// MaxIdle is how many of them are kept while nobody uses them. 0 means MaxOpen.
	// Fewer, and a pool that is busy opens and closes connections all the time.
	MaxIdle int
	// Lifetime is the age at which a connection is closed and replaced, when it is
	// free: so the load moves to a new server, or a new address. 0 means 30 min.
	Lifetime time.Duration
	// IdleTime is how long a connection is kept that nobody uses. 0 means 5 min.
	IdleTime time.Duration
	// ConnectTimeout is how long opening a connection may take, unless the context of
	// whoever needs it ends before. 0 means 5 s.
	ConnectTimeout time.Duration

	// The server's limits for each connection, in whole milliseconds, at least 1 ms:
	// they hold where a client is too busy, or too dead, to see to its own.

	// StatementTimeout is how long a statement may run. 0 means 10 s.
	StatementTimeout time.Duration
	// LockTimeout is how long it may wait for each lock. 0 means 5 s.
	LockTimeout time.Duration
	// IdleInTransaction is how long a transaction may stay open without a statement,
	// until the server ends it, with its connection. 0 means 30 s.
	IdleInTransaction time.Duration

	// OpenDB makes the pool of a connector, as instrumentation does that counts and
	// traces statements. nil means sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
}

// Open returns a pool of connections to the database at databaseURL, which is a URL
// or a list of settings as pq.NewConfig reads it. It opens none yet: so it succeeds
// when the database is away, and the first who needs a connection opens it.
//
// What databaseURL itself sets stays (application_name, connect_timeout, and the
// server's limits: statement_timeout, lock_timeout,
// idle_in_transaction_session_timeout). The caller closes the pool.
//
// err names all faults of c at once, and those of databaseURL without its password.
//
// Behind PgBouncer, the server's limits must be set at the server (ALTER ROLE … SET),
// and the names be in its ignore_startup_parameters.
func Open(databaseURL string, c Config) (*sqlx.DB, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	config, err := pq.NewConfig(databaseURL)
	if err != nil {
		if bad := (*url.Error)(nil); errors.As(err, &bad) {
			err = bad.Err // its own text has all of the URL, and a log would have the password
		}
		return nil, fmt.Errorf("dbpool: the database's URL: %w", err)
	}
	config.BinaryParameters = true // arguments travel with their statement, not in a second trip
	//workshop:begin return sqlx.Open("postgres", databaseURL)
	//workshop:todo Set config.ApplicationName and config.ConnectTimeout, where the URL has not,
	//workshop:todo and with limit the server's three limits. c.OpenDB makes a pool of
	//workshop:todo connector{config}, and sqlx.NewDb a *sqlx.DB of that, for the driver "postgres".
	//workshop:todo Before you return it: its bounds, by its four methods Set….
	if config.ApplicationName == "" {
		config.ApplicationName = c.Application
	}
	if config.ConnectTimeout <= 0 { // for pq, that is no limit
		config.ConnectTimeout = c.ConnectTimeout
	}
	limit(&config, "statement_timeout", c.StatementTimeout)
	limit(&config, "lock_timeout", c.LockTimeout)
	limit(&config, "idle_in_transaction_session_timeout", c.IdleInTransaction)
	db := sqlx.NewDb(c.OpenDB(connector{config}), "postgres")
	db.SetMaxOpenConns(c.MaxOpen) // without a bound, a rush opens connections until the server refuses all
	db.SetMaxIdleConns(c.MaxIdle) // the default is 2: of ten that come back, eight would be closed
	db.SetConnMaxLifetime(c.Lifetime)
	db.SetConnMaxIdleTime(c.IdleTime)
	return db, nil
	//workshop:end
}

// Acquire takes a connection out of the pool, for the caller to use and to Close.
// If all are in use, and there may be no more, it waits until one comes free;
// otherwise it takes a free one, or opens one. It takes no longer than wait, whatever
// it waits for: wait must be positive, and leave time to open one. Its errors:
//
//	ctx was done first     wraps ctx's error, and is no ErrBusy. Who opens one hears
//	                       of it when wait is over, at the latest
//	none came free         ErrBusy, which says how many of how many are in use, as in
//	                       "2 of 2 in use"
//	none could be opened   what the driver says, and no ErrBusy: the pool has room,
//	                       and it is the database that does not answer
//
// The last two are neither context.DeadlineExceeded nor any other of the context's
// errors: the caller still has time, for something else.
//
// The connection does not end with wait: that is for the waiting alone.
func Acquire(ctx context.Context, db *sqlx.DB, wait time.Duration) (*sqlx.Conn, error) {
	//workshop:begin return nil, nil
	//workshop:todo db.Connx, with a context that ends in wait. If it fails, look at ctx first: the
	//workshop:todo caller's own end. Then at the error: while it waits for a free one, the pool
	//workshop:todo returns context.DeadlineExceeded, and connector does not. db.Stats() knows the
	//workshop:todo numbers.
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := db.Connx(waiting)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("dbpool: no connection: %w: %w", ctx.Err(), err)
	case errors.Is(err, context.DeadlineExceeded): // wait was over before one came free, and not before one was opened: "busy" would send the operator to the wrong place
		stats := db.Stats()
		return nil, fmt.Errorf("%w: waited %s, %d of %d in use", ErrBusy, wait, stats.InUse, stats.MaxOpenConnections)
	}
	return conn, err
	//workshop:end
}

// Each sends the query, with its arguments, and calls row for each row of the
// answer, in turn, standing at that row. It stops at row's first error, and returns
// it. When it returns, also by a panic of row, which goes on, the rows are closed and
// their connection is free, even if rows were left.
//
// It returns an error as well if the rows end early because the server reports one,
// the connection breaks, or ctx is done: what row has seen by then is not all. An
// answer without rows is no error.
func Each(ctx context.Context, db sqlx.QueryerContext, query string, args []any, row func(*sqlx.Rows) error) error {
	//workshop:begin return nil
	//workshop:todo db.QueryxContext, and a deferred Close; Next until it is false; then Err.
	rows, err := db.QueryxContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // rows that are left open keep their connection, and the pool has one less for ever
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err() // Next is false at the end, and where the connection broke: half a list looks like a whole one
	//workshop:end
}

// connector opens connections by pq, within the context of whoever needs one. pq's own
// looks at the context while it dials, and no more when a server that has accepted
// says nothing: then it waits as long as ConnectTimeout.
type connector struct{ config pq.Config }

// Connect implements driver.Connector. Its error is no context.DeadlineExceeded, by
// which database/sql says that none came free: see Acquire. For the rest, it is pq's.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config
	if deadline, ok := ctx.Deadline(); ok {
		if left := max(time.Until(deadline), 1); config.ConnectTimeout <= 0 || left < config.ConnectTimeout {
			config.ConnectTimeout = left // of the handshake, too
		}
	}
	opener, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	conn, err := opener.Connect(ctx)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		if config.ConnectTimeout != c.config.ConnectTimeout {
			<-ctx.Done() // its timer may be a moment later than the connection's
		}
		return nil, fmt.Errorf("dbpool: the database did not answer within %s: %w: %v", config.ConnectTimeout.Round(time.Millisecond), os.ErrDeadlineExceeded, err)
	}
	return conn, err
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return &pq.Driver{} }

// limit sets a limit of the server for each connection, unless it is set.
func limit(config *pq.Config, name string, d time.Duration) {
	if config.Runtime == nil {
		config.Runtime = map[string]string{}
	}
	if config.Runtime[name] == "" {
		config.Runtime[name] = strconv.FormatInt(d.Milliseconds(), 10)
	}
}

// complete returns c with its defaults, or all its faults.
func (c Config) complete() (Config, error) {
	if c.Application == "" {
		c.Application = "orders"
	}
	if c.OpenDB == nil {
		c.OpenDB = sql.OpenDB
	}
	var faults []error
	if c.MaxOpen == 0 {
		c.MaxOpen = 10
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = c.MaxOpen
	}
	if c.MaxOpen < 0 {
		faults = append(faults, fmt.Errorf("dbpool: MaxOpen is %d, must not be negative", c.MaxOpen))
	}
	if c.MaxIdle < 0 {
		faults = append(faults, fmt.Errorf("dbpool: MaxIdle is %d, must not be negative", c.MaxIdle))
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
		least time.Duration
	}{
		{"Lifetime", &c.Lifetime, 30 * time.Minute, 1}, {"IdleTime", &c.IdleTime, 5 * time.Minute, 1},
		{"ConnectTimeout", &c.ConnectTimeout, 5 * time.Second, 1},
		{"StatementTimeout", &c.StatementTimeout, 10 * time.Second, time.Millisecond}, {"LockTimeout", &c.LockTimeout, 5 * time.Second, time.Millisecond},
		{"IdleInTransaction", &c.IdleInTransaction, 30 * time.Second, time.Millisecond},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.zero
		case *d.value < d.least: // below 1 ms, the server would read 0, which means no limit
			faults = append(faults, fmt.Errorf("dbpool: %s is %s, must be at least %s", d.name, *d.value, d.least))
		}
	}
	return c, errors.Join(faults...)
}
