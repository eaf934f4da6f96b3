package dbpool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/dbpool"
)

//workshop:guard TestOpen/names_all_faults_of_its_configuration
//workshop:guard TestOpen/succeeds_when_the_database_is_away
//workshop:guard TestOpen/is_a_pool_for_PostgreSQL
func TestOpen(t *testing.T) { // not in parallel: what it says comes first
	admin := pgtest.Open(t) // looks at the server, through connections of its own
	databaseURL := pgtest.URL(t)

	t.Run("names_its_connections", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{Application: "kitchen"})
		assert.Equal(t, "kitchen", show(t, db, "application_name"), "Config.Application is kitchen: application_name, by which the server lists the connection")
	})

	t.Run("opens_no_more_than_its_bound", func(t *testing.T) {
		db := open(t, with(t, databaseURL, "application_name", "bound"), dbpool.Config{MaxOpen: 3})
		lock := hold(t, admin, 1)
		ctx := within(t)
		done := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := db.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared(1)`)
				done <- err
			}()
		}
		// Each of them now has a connection, or waits for one.
		condition(t, 4*time.Second, func() bool { return connections(t, admin, "bound", "%")+int(db.Stats().WaitCount) >= 10 }, "10 statements at once, each of which has a connection or waits for one")
		got := connections(t, admin, "bound", "%")
		lock()
		for range 10 {
			require.NoError(t, <-done, "one of 10 statements, for 3 connections: it gets its turn")
		}
		assert.Equal(t, 3, got, "MaxOpen is 3, and 10 statements were sent at once: connections in the server's list, pg_stat_activity. Without SetMaxOpenConns a pool has no bound, and a rush takes all that the server has")
	})

	t.Run("takes_its_pool_from_OpenDB", func(t *testing.T) {
		var made []*sql.DB
		db := open(t, databaseURL, dbpool.Config{OpenDB: func(c driver.Connector) *sql.DB {
			made = append(made, sql.OpenDB(c))
			return made[len(made)-1]
		}})
		require.Len(t, made, 1, "Config.OpenDB is set: how often Open has called it. What counts and traces statements comes in by that; sql.OpenDB knows nothing of it")
		assert.Same(t, made[0], db.DB, "Config.OpenDB is set: the *sql.DB in Open's *sqlx.DB is the one that it has returned")
	})

	t.Run("is_a_pool_for_PostgreSQL", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{})
		assert.Equal(t, "SELECT $1", db.Rebind("SELECT ?"), "sqlx writes the placeholders of the database whose driver it is told, and PostgreSQL's is \"postgres\": Rebind of SELECT ?")
	})

	t.Run("succeeds_when_the_database_is_away", func(t *testing.T) {
		_ = open(t, "postgres://postgres@"+nobody(t)+"/shop?sslmode=disable", dbpool.Config{}) // or the whole shop would not start, for a database that comes a second later
	})

	t.Run("keeps_as_many_as_MaxIdle", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{MaxOpen: 4, MaxIdle: 1})
		processes(t, db, 4)
		assert.EqualValues(t, 3, db.Stats().MaxIdleClosed, "MaxOpen is 4 and MaxIdle 1; four connections were in use at once, and came back: how many of them were closed")
	})

	t.Run("keeps_connections_for_those_who_come_next", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{MaxOpen: 4})
		assert.ElementsMatch(t, processes(t, db, 4), processes(t, db, 4), "MaxOpen is 4, and MaxIdle 0, which means as many: the server's processes that four connections had, and those that the next four had. Without SetMaxIdleConns, a pool keeps 2, and each busy moment opens connections anew")
	})

	t.Run("replaces_a_connection_when_it_is_old", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{Lifetime: 20 * time.Millisecond})
		first := processes(t, db, 1)[0]
		condition(t, time.Second, func() bool { return processes(t, db, 1)[0] != first }, "Lifetime is 20 ms, and one connection after the other is asked which process of the server it has: another one than at first")
	})

	t.Run("closes_a_connection_that_nobody_uses", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{Lifetime: time.Hour, IdleTime: 20 * time.Millisecond})
		processes(t, db, 1)
		since := time.Now()
		condition(t, time.Second, func() bool { return time.Since(since) > 25*time.Millisecond }, "25 ms pass")
		db.SetConnMaxLifetime(time.Millisecond) // has database/sql look around now, and not only once a second
		condition(t, time.Second, func() bool { return db.Stats().MaxIdleTimeClosed == 1 }, "IdleTime is 20 ms and Lifetime an hour, and the only connection was idle for 25 ms: the pool closes it, by SetConnMaxIdleTime, and Stats counts one in MaxIdleTimeClosed")
	})

	t.Run("gives_up_on_a_server_that_says_nothing", func(t *testing.T) {
		db := open(t, silent(t), dbpool.Config{ConnectTimeout: 30 * time.Millisecond})
		ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
		defer cancel()
		require.Error(t, ping(t, ctx, db), "a server that accepts, and then says nothing: there is no connection")
		require.NoError(t, ctx.Err(), "ConnectTimeout is 30 ms, and a server accepts and then says nothing: after 0.6 s, the connection is still being opened. Set config.ConnectTimeout")
	})

	t.Run("opens_a_connection_within_the_context", func(t *testing.T) {
		db := open(t, silent(t), dbpool.Config{ConnectTimeout: time.Minute})
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		require.Error(t, ping(t, ctx, db), "ConnectTimeout is a minute, the context ends after 30 ms, and a server accepts and then says nothing. pq's own connector looks at the context only while it dials; make the pool of connector{config}")
	})

	t.Run("has_the_server_end_a_statement_that_takes_too_long", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{StatementTimeout: 30 * time.Millisecond})
		ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
		defer cancel()
		_, err := db.ExecContext(ctx, `SELECT pg_sleep(60)`)
		require.NoError(t, ctx.Err(), "StatementTimeout is 30 ms, and a statement takes a minute: after 0.7 s, it still runs. statement_timeout is not set")
		assert.Equal(t, "57014", code(err), "StatementTimeout is 30 ms, and a statement takes a minute: the server's error, 57014 (query_canceled), by statement_timeout. It was %v", err)
	})

	t.Run("has_the_server_end_a_wait_for_a_lock", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{LockTimeout: 30 * time.Millisecond})
		defer hold(t, admin, 2)()
		ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
		defer cancel()
		_, err := db.ExecContext(ctx, `SELECT pg_advisory_xact_lock(2)`)
		assert.Equal(t, "55P03", code(err), "LockTimeout is 30 ms, and a statement waits for a lock that somebody else has: the server's error, 55P03 (lock_not_available), by lock_timeout. It was %v", err)
	})

	t.Run("has_the_server_end_a_transaction_that_was_forgotten", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{IdleInTransaction: 30 * time.Millisecond})
		tx, err := db.Beginx()
		require.NoError(t, err)
		defer tx.Rollback()
		var process int
		require.NoError(t, tx.Get(&process, `SELECT pg_backend_pid()`))
		condition(t, time.Second, func() bool {
			var there bool
			require.NoError(t, admin.Get(&there, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = $1)`, process))
			return !there
		}, "IdleInTransaction is 30 ms, and a transaction was begun and nobody has ended it: the server ends it, by idle_in_transaction_session_timeout, and its locks are free")
	})

	t.Run("leaves_what_the_URL_sets", func(t *testing.T) {
		db := open(t, with(t, databaseURL, "application_name", "operator", "lock_timeout", "1234"), dbpool.Config{Application: "program", LockTimeout: time.Second, StatementTimeout: 2 * time.Second})
		assert.Equal(t, "operator 1234ms 2s", show(t, db, "application_name")+" "+show(t, db, "lock_timeout")+" "+show(t, db, "statement_timeout"),
			"the URL has application_name=operator and lock_timeout=1234, and Config has program, 1 s, and a StatementTimeout of 2 s: application_name, lock_timeout and statement_timeout. Who runs the service has the last word")
	})

	t.Run("leaves_the_URLs_connect_timeout", func(t *testing.T) {
		db := open(t, with(t, silent(t), "connect_timeout", "60"), dbpool.Config{ConnectTimeout: 10 * time.Millisecond})
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
		defer cancel()
		require.Error(t, ping(t, ctx, db), "a server that accepts, and then says nothing: there is no connection")
		require.Error(t, ctx.Err(), "the URL has connect_timeout=60, Config.ConnectTimeout is 10 ms, and a server accepts and then says nothing: opening ended before the context did, which has 60 ms. Who runs the service has the last word")
	})

	t.Run("names_all_faults_of_its_configuration", func(t *testing.T) {
		_, err := dbpool.Open(databaseURL, dbpool.Config{MaxOpen: -1, MaxIdle: -1, LockTimeout: time.Microsecond, Lifetime: -1})
		for _, field := range []string{"MaxOpen", "MaxIdle", "LockTimeout", "Lifetime"} {
			assert.ErrorContains(t, err, field)
		}
		_, err = dbpool.Open("postgres://ada:secret@localhost:port/shop", dbpool.Config{})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	})
}

func TestAcquire(t *testing.T) {
	t.Parallel()
	databaseURL := pgtest.URL(t)
	const one = `SELECT 1`

	// taken returns a pool whose n connections are all taken, and frees one of them.
	taken := func(t *testing.T, n int) (db *sqlx.DB, free func()) {
		db = open(t, databaseURL, dbpool.Config{})
		db.SetMaxOpenConns(n)
		for range n {
			conn, err := db.Connx(within(t))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			free = func() { _ = conn.Close() }
		}
		return db, free
	}
	// full returns a pool whose only connection is taken.
	full := func(t *testing.T) (db *sqlx.DB, free func()) { return taken(t, 1) }

	t.Run("says_in_time_that_none_is_free", func(t *testing.T) {
		db, free := full(t)
		_, err := acquire(t, within(t), db, 50*time.Millisecond)
		require.ErrorIs(t, err, dbpool.ErrBusy, "the only connection is in use, and wait is 50 ms. Without an end of its own, the wait lasts as long as the customer does, and everybody waits")
		free()
		conn, err := acquire(t, within(t), db, time.Second)
		require.NoError(t, err, "the connection is free again")
		require.NoError(t, conn.Close())
	})

	t.Run("says_how_many_are_in_use", func(t *testing.T) {
		db, _ := taken(t, 3)
		_, err := acquire(t, within(t), db, 20*time.Millisecond)
		require.Error(t, err, "three connections are all in use, and wait is 20 ms")
		assert.ErrorContains(t, err, "3 of 3 in use", "three connections are all in use: what the error says, for whoever reads the log at night. See db.Stats()")
	})

	t.Run("its_wait_is_not_the_callers_deadline", func(t *testing.T) {
		db, _ := full(t)
		_, err := acquire(t, within(t), db, 20*time.Millisecond)
		require.ErrorIs(t, err, order.ErrUnavailable, "the only connection is in use, and wait is 20 ms")
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "wait is over, and the caller's context is not: who reads context.DeadlineExceeded believes that there is no time left")
	})

	t.Run("a_caller_who_left_is_not_told_that_it_is_busy", func(t *testing.T) {
		db, _ := full(t)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := acquire(t, ctx, db, time.Minute)
		require.ErrorIs(t, err, context.Canceled, "the only connection is in use, wait is a minute, and the caller leaves after 20 ms")
		require.NotErrorIs(t, err, dbpool.ErrBusy, "the caller has left after 20 ms of a minute: that says nothing about the pool")
		_, err = acquire(t, within(t), db, 20*time.Millisecond)
		assert.ErrorIs(t, err, dbpool.ErrBusy, "and the next caller, who waits for 20 ms")
	})

	t.Run("the_callers_deadline_is_not_the_pools", func(t *testing.T) {
		db, _ := full(t)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := acquire(t, ctx, db, time.Minute)
		require.NotErrorIs(t, err, dbpool.ErrBusy, "the only connection is in use, wait is a minute, and the caller's own context ends after 20 ms: that says nothing about the pool. context.DeadlineExceeded may be of either context; ask ctx.Err() first")
		assert.ErrorIs(t, err, context.DeadlineExceeded, "the only connection is in use, wait is a minute, and the caller's own context ends after 20 ms: what Acquire returns wraps the context's error")
	})

	t.Run("a_database_that_is_away_is_no_busy_pool", func(t *testing.T) {
		db := open(t, "postgres://postgres@"+nobody(t)+"/shop?sslmode=disable", dbpool.Config{})
		_, err := acquire(t, within(t), db, time.Second)
		require.NotErrorIs(t, err, dbpool.ErrBusy, "nobody listens at the database's address, and none of 10 connections is in use: who reads \"busy\" looks for the fault in the wrong place")
		var refused *net.OpError
		assert.ErrorAs(t, err, &refused, "nobody listens at the database's address: what the driver says, as it is")
	})

	t.Run("waits_no_longer_for_a_server_that_says_nothing", func(t *testing.T) {
		db := open(t, silent(t), dbpool.Config{ConnectTimeout: time.Minute})
		_, err := acquire(t, within(t), db, 30*time.Millisecond)
		require.Error(t, err, "a server that accepts, and then says nothing; wait is 30 ms: there is no connection")
	})

	t.Run("a_server_that_says_nothing_is_no_busy_pool", func(t *testing.T) {
		db := open(t, silent(t), dbpool.Config{})
		_, err := acquire(t, within(t), db, 30*time.Millisecond)
		require.NotErrorIs(t, err, dbpool.ErrBusy, "a server accepts, and then says nothing; wait is 30 ms, and over: none of 10 connections is in use, the pool has room, and it is the database that does not answer. That wait is over does not tell which it was; look at the error")
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "a server accepts, and then says nothing; wait is 30 ms: what connector says, as it is")
	})

	t.Run("the_callers_deadline_counts_while_a_connection_is_opened", func(t *testing.T) {
		db := open(t, silent(t), dbpool.Config{})
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		_, err := acquire(t, ctx, db, time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a server accepts, and then says nothing; wait is a minute, and the caller's own context ends after 30 ms: Acquire's error wraps ctx's, also where the driver has another one")
	})

	t.Run("waits_for_one_that_comes_free", func(t *testing.T) {
		db, free := full(t)
		_, err := acquire(t, within(t), db, 20*time.Millisecond)
		require.ErrorIs(t, err, dbpool.ErrBusy, "the only connection is in use")
		waited := db.Stats().WaitCount
		go func() {
			for db.Stats().WaitCount == waited {
				time.Sleep(time.Millisecond)
			}
			free()
		}()
		conn, err := acquire(t, within(t), db, time.Second)
		require.NoError(t, err, "the only connection is in use, and comes free while Acquire waits for it")
		defer conn.Close()
		_, err = conn.ExecContext(within(t), one)
		assert.NoError(t, err, "a statement over that connection")
	})

	t.Run("a_connection_outlives_the_wait_for_it", func(t *testing.T) {
		db, free := full(t)
		_, err := acquire(t, within(t), db, 20*time.Millisecond)
		require.ErrorIs(t, err, dbpool.ErrBusy, "the only connection is in use")
		free()
		conn, err := acquire(t, within(t), db, 50*time.Millisecond)
		require.NoError(t, err, "the connection is free again")
		defer conn.Close()
		var long bool
		require.NoError(t, conn.GetContext(within(t), &long, `SELECT true FROM pg_sleep(0.07)`), "wait is 50 ms, and a statement takes 70 ms: wait is for the waiting alone")
	})
}

func TestEach(t *testing.T) {
	t.Parallel()
	admin := pgtest.Open(t)
	databaseURL := pgtest.URL(t)
	const three = `SELECT n FROM generate_series(1, 3) n`

	// single returns a pool of one connection.
	single := func(t *testing.T) *sqlx.DB {
		db := open(t, databaseURL, dbpool.Config{})
		db.SetMaxOpenConns(1)
		return db
	}
	// free fails the test if the only connection is not free.
	free := func(t *testing.T, db *sqlx.DB, why string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, `SELECT 1`)
		require.NoError(t, err, why)
	}

	t.Run("calls_row_for_each_row", func(t *testing.T) {
		got, err := numbers(t, within(t), single(t), three, nil)
		require.NoError(t, err, "a query of three rows")
		require.NotEmpty(t, got, "a query of three rows: Each returned nil, and row was never called")
		assert.Equal(t, []int{1, 2, 3}, got, "a query of three rows: what row has read, by Scan")
	})

	t.Run("sends_the_arguments", func(t *testing.T) {
		got, err := numbers(t, within(t), single(t), `SELECT n FROM generate_series($1::int, $2::int) n`, nil, 4, 6)
		require.NoError(t, err)
		assert.Equal(t, []int{4, 5, 6}, got, "the query … generate_series($1, $2), and the arguments 4 and 6: what row has read")
	})

	t.Run("an_answer_without_rows_is_no_error", func(t *testing.T) {
		db := single(t)
		got, err := numbers(t, within(t), db, `SELECT n FROM generate_series(1, 0) n`, nil)
		require.NoError(t, err, "a query whose answer has no rows: row is not called, and that is all. sql.ErrNoRows is for those who need one")
		require.Empty(t, got, "a query whose answer has no rows: what row has read")
		got, err = numbers(t, within(t), db, three, nil)
		require.NoError(t, err, "the next query over the same connection, of three rows")
		assert.Equal(t, []int{1, 2, 3}, got, "the next query over the same connection, of three rows: what row has read")
	})

	t.Run("stops_at_the_first_error_of_row", func(t *testing.T) {
		enough := errors.New("enough")
		got, err := numbers(t, within(t), single(t), three, func(n int) error {
			if n == 2 {
				return enough
			}
			return nil
		})
		require.ErrorIs(t, err, enough, "row returned an error at the second row: what Each returns")
		assert.Equal(t, []int{1, 2}, got, "row returned an error at the second of three rows: what it has read")
	})

	t.Run("frees_its_connection_when_rows_are_left", func(t *testing.T) {
		db := single(t)
		enough := errors.New("enough")
		_, err := numbers(t, within(t), db, `SELECT n FROM generate_series(1, 1000) n`, func(int) error { return enough })
		require.ErrorIs(t, err, enough, "row returned an error at the first row")
		free(t, db, "row returned an error at the first of 1,000 rows, and Each returned: the pool's only connection is free. Rows that are not closed keep theirs for ever; defer their Close")
	})

	t.Run("frees_its_connection_when_row_panics", func(t *testing.T) {
		db := single(t)
		ctx := within(t)
		require.PanicsWithValue(t, "a defect in row", func() {
			_ = dbpool.Each(ctx, db, three, nil, func(*sqlx.Rows) error { panic("a defect in row") })
		}, "row panics: it passes through Each")
		free(t, db, "row panicked at the first of three rows: the pool's only connection is free. Defer the rows' Close")
	})

	t.Run("reports_rows_that_end_early", func(t *testing.T) {
		got, err := numbers(t, within(t), single(t), `SELECT 6 / (4 - n) FROM generate_series(1, 9) n`, nil)
		require.LessOrEqual(t, len(got), 3)
		assert.Equal(t, "22012", code(err), "the server sends three rows, and then an error, 22012 (division_by_zero): Each returns it. Next is false for an error, too; ask Err after it. It returned %v", err)
	})

	t.Run("reports_rows_that_end_with_the_context", func(t *testing.T) {
		const all = 1000
		db := single(t)
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		done := make(chan error, 1)
		seen := 0
		go func() {
			done <- dbpool.Each(ctx, db, fmt.Sprintf(`SELECT n FROM generate_series(1, %d) n`, all), nil, func(rows *sqlx.Rows) error {
				seen++
				cancel()
				for ctx := within(t); rows.Err() == nil && ctx.Err() == nil; time.Sleep(time.Millisecond) { // until database/sql has heard of it
				}
				return nil
			})
		}()
		select {
		case err := <-done:
			require.Error(t, err, "the context was cancelled in the first of %d rows, of which row has seen %d: Each returns an error. Without one, half a list looks like a whole one", all, seen)
		case <-time.After(4 * time.Second):
			require.Fail(t, "Each does not return", "its context was cancelled in the first of %d rows, 4 s ago", all)
		}
	})

	t.Run("reports_a_statement_that_is_refused", func(t *testing.T) {
		_, err := numbers(t, within(t), single(t), `SELECT n FROM nothing`, nil)
		assert.Equal(t, "42P01", code(err), "there is no such table: the server's error, 42P01 (undefined_table). Each returned %v", err)
	})

	t.Run("a_customer_who_leaves_frees_the_connection_and_the_server", func(t *testing.T) {
		db := open(t, with(t, databaseURL, "application_name", "leaves"), dbpool.Config{})
		db.SetMaxOpenConns(1)
		release := hold(t, admin, 4)
		defer release()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			done <- dbpool.Each(ctx, db, `SELECT pg_advisory_xact_lock_shared(4)::text`, nil, func(*sqlx.Rows) error { return nil })
		}()
		condition(t, 4*time.Second, func() bool { return connections(t, admin, "leaves", "active") == 1 || len(done) > 0 }, "a query that waits at the server")
		require.Empty(t, done, "Each returned, and its query waits at the server for a lock that somebody else has")
		cancel()
		select {
		case err := <-done:
			require.Error(t, err, "the query waits at the server, and its customer has left")
		case <-time.After(2 * time.Second):
			require.Fail(t, "Each does not return", "its query waits at the server, and its customer left 2 s ago: send it in ctx")
		}
		condition(t, 4*time.Second, func() bool { return connections(t, admin, "leaves", "active") == 0 }, "the query's customer has left: the server works on it no more")
		free(t, db, "the query's customer has left: the pool has room for the next one")
	})
}

// patience is how long Each may take. Once it has not returned, the others are not waited
// for as long.
var patience = 5 * time.Second

// numbers calls Each, and returns the numbers that row has read, up to stop's first error.
func numbers(t *testing.T, ctx context.Context, db *sqlx.DB, query string, stop func(n int) error, args ...any) (got []int, err error) {
	t.Helper()
	type result struct {
		got []int
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = dbpool.Each(ctx, db, query, args, func(rows *sqlx.Rows) error {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			r.got = append(r.got, n)
			if stop == nil {
				return nil
			}
			return stop(n)
		})
		done <- r
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-time.After(patience):
		patience = time.Second
		require.FailNow(t, "Each does not return", "of %s. Next is false at the end of the rows, and stays so: does the loop end with it?", query)
		return nil, nil
	}
}

// acquire calls Acquire, which has to return.
func acquire(t *testing.T, ctx context.Context, db *sqlx.DB, wait time.Duration) (conn *sqlx.Conn, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		conn, err = dbpool.Acquire(ctx, db, wait)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second): // more than any of these waits, or what ends it
		require.Fail(t, "Acquire does not return", "2 s have passed; wait is %s, and it ends with ctx, too, if that is done before", wait)
	}
	if err == nil {
		require.NotNil(t, conn, "Acquire returned neither a connection nor an error")
	}
	return conn, err
}

// ping calls db.PingContext, which has to return when ctx ends.
func ping(t *testing.T, ctx context.Context, db *sqlx.DB) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- db.PingContext(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(900 * time.Millisecond):
		require.Fail(t, "the connection is still being opened", "0.9 s have passed, and the context has ended: a server accepts, and then says nothing, and nobody looks at the time. Make the pool of connector{config}")
		return nil
	}
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// silent is the URL of a server that accepts, and then says nothing, until the test ends.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts for it
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return "postgres://postgres@" + listener.Addr().String() + "/shop?sslmode=disable"
}

// open opens a pool, which is closed when the test ends.
func open(t *testing.T, databaseURL string, c dbpool.Config) *sqlx.DB {
	t.Helper()
	var db *sqlx.DB
	var err error
	done := make(chan struct{})
	go func() {
		db, err = dbpool.Open(databaseURL, c)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
		require.Fail(t, "Open does not return", "1 s has passed, and it has nothing to wait for: it opens no connection. Whoever needs one first does")
	}
	require.NoError(t, err, "Open: it opens no connection, so it succeeds when the database is away, too")
	require.NotNil(t, db, "Open returned no error: its pool")
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// with returns databaseURL with settings, as in "lock_timeout", "1234".
func with(t *testing.T, databaseURL string, settings ...string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	q := u.Query()
	for i := 0; i < len(settings); i += 2 {
		q.Set(settings[i], settings[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// show is a setting of a connection.
func show(t *testing.T, db *sqlx.DB, setting string) (value string) {
	t.Helper()
	require.NoError(t, db.GetContext(within(t), &value, `SHOW `+setting))
	return value
}

// processes are the server's processes of n connections that are in use at once.
func processes(t *testing.T, db *sqlx.DB, n int) (pids []int) {
	t.Helper()
	for range n {
		conn, err := db.Connx(within(t))
		require.NoError(t, err, "%d connections at once, of a pool of as many", n)
		defer conn.Close()
		var pid int
		require.NoError(t, conn.GetContext(within(t), &pid, `SELECT pg_backend_pid()`))
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

// connections counts those in the server's list that are of application, in a
// state like state.
func connections(t *testing.T, admin *sqlx.DB, application, state string) (n int) {
	t.Helper()
	require.NoError(t, admin.Get(&n, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND state LIKE $2`, application, state))
	return n
}

// hold holds a lock until its result is called.
func hold(t *testing.T, admin *sqlx.DB, key int) (release func()) {
	t.Helper()
	tx, err := admin.Beginx()
	require.NoError(t, err)
	_, err = tx.Exec(`SELECT pg_advisory_xact_lock($1)`, key)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return func() { _ = tx.Rollback() }
}

// code is that of the server's error, if err is one.
func code(err error) string {
	if said := pq.As(err); said != nil {
		return string(said.Code)
	}
	return fmt.Sprintf("none, of %v", err)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// condition waits until cond holds.
func condition(t *testing.T, patience time.Duration, cond func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "within %s: %s", patience, what)
	}
}
