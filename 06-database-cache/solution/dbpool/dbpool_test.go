package dbpool_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
func TestOpen(t *testing.T) {
	t.Parallel()
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

	t.Run("keeps_connections_for_those_who_come_next", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{MaxOpen: 4})
		assert.ElementsMatch(t, processes(t, db, 4), processes(t, db, 4), "MaxOpen is 4, and MaxIdle 0, which means as many: the server's processes that four connections had, and those that the next four had. Without SetMaxIdleConns, a pool keeps 2, and each busy moment opens connections anew")
	})

	t.Run("replaces_a_connection_when_it_is_old", func(t *testing.T) {
		db := open(t, databaseURL, dbpool.Config{Lifetime: 20 * time.Millisecond})
		first := processes(t, db, 1)[0]
		condition(t, 1500*time.Millisecond, func() bool { return processes(t, db, 1)[0] != first }, "Lifetime is 20 ms, and one connection after the other is asked which process of the server it has: another one than at first")
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
		condition(t, 1500*time.Millisecond, func() bool {
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

	// full returns a pool whose only connection is taken.
	full := func(t *testing.T) (db *sqlx.DB, free func()) {
		db = open(t, databaseURL, dbpool.Config{})
		db.SetMaxOpenConns(1)
		conn, err := db.Connx(within(t))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return db, func() { _ = conn.Close() }
	}

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
		db, _ := full(t)
		_, err := acquire(t, within(t), db, 20*time.Millisecond)
		require.Error(t, err, "the only connection is in use, and wait is 20 ms")
		assert.ErrorContains(t, err, "1 of 1 in use", "the only connection is in use: what the error says, for whoever reads the log at night")
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
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3}, got, "a query of three rows: what row has read, by Scan")
	})

	t.Run("sends_the_arguments", func(t *testing.T) {
		got, err := numbers(t, within(t), single(t), `SELECT n FROM generate_series($1::int, $2::int) n`, nil, 4, 6)
		require.NoError(t, err)
		assert.Equal(t, []int{4, 5, 6}, got, "the query … generate_series($1, $2), and the arguments 4 and 6: what row has read")
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
	case <-time.After(4 * time.Second):
		require.Fail(t, "Each does not return", "of %s", query)
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
	case <-time.After(wait + 3*time.Second):
		require.Fail(t, "Acquire does not return", "wait is %s, and 3 s more have passed", wait)
	}
	if err == nil {
		require.NotNil(t, conn, "Acquire returned neither a connection nor an error")
	}
	return conn, err
}

// open opens a pool, which is closed when the test ends.
func open(t *testing.T, databaseURL string, c dbpool.Config) *sqlx.DB {
	t.Helper()
	db, err := dbpool.Open(databaseURL, c)
	require.NoError(t, err, "Open with %+v", c)
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
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
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
