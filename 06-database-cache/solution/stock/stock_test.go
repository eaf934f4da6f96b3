package stock_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgproxy"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/stock"
)

const (
	committed    = sql.LevelReadCommitted
	serializable = sql.LevelSerializable
)

func TestReserve(t *testing.T) {
	db := pgtest.Open(t)
	databaseURL := pgtest.URL(t)
	crowd := open(t, databaseURL) // for many buyers at once
	crowd.SetMaxOpenConns(8)
	crowd.SetMaxIdleConns(8)

	t.Run("takes_what_is_ordered", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10, "tea", 3)
		require.NoError(t, k.reserve(db, "one", "ramen", 2, "tea", 1), "10 ramen and 3 tea are left, and 2 ramen and 1 tea are ordered")
		assert.Equal(t, "8 ramen, 2 tea", k.left(), "10 ramen and 3 tea were left, and 2 ramen and 1 tea were ordered: what is left then")
	})

	t.Run("notes_what_it_takes", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10, "tea", 3)
		require.NoError(t, k.reserve(db, "one", "ramen", 2, "tea", 1))
		assert.Equal(t, "2 ramen, 1 tea", k.reserved("one"), "2 ramen and 1 tea were ordered: the order's rows in the table reserved_items, from which they can be put back. takeItems writes them")
	})

	t.Run("takes_the_last_one", func(t *testing.T) {
		k := newKitchen(t, db, "tea", 3)
		require.NoError(t, k.reserve(db, "one", "tea", 3), "3 tea are left, and 3 are ordered")
		assert.Equal(t, "0 tea", k.left(), "3 tea were left, and 3 were ordered: what is left then")
	})

	t.Run("says_what_is_sold_out", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10, "tea", 3, "soup", 0)
		var soldOut *order.SoldOutError
		require.ErrorAs(t, k.reserve(db, "one", "ramen", 10, "tea", 4, "soup", 1), &soldOut, "10 ramen, 3 tea and 0 soup are left, and 10 ramen, 4 tea and 1 soup are ordered")
		assert.Equal(t, order.SoldOutError{Dish: k.id("tea"), Left: 3}, *soldOut, "10 ramen, 3 tea and 0 soup are left, and 10 ramen, 4 tea and 1 soup are ordered: the first in the order that there is not enough of, and how many there are")
	})

	t.Run("takes_all_or_nothing", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10, "tea", 3)
		require.ErrorIs(t, k.reserve(db, "one", "ramen", 2, "tea", 4), order.ErrSoldOut, "10 ramen and 3 tea are left, and 2 ramen and 4 tea are ordered")
		assert.Equal(t, "10 ramen, 3 tea", k.left(), "2 ramen and 4 tea were ordered, and there is not enough tea: what is left then. No ramen may be taken either")
	})

	t.Run("a_dish_that_nobody_knows_is_sold_out", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10)
		var soldOut *order.SoldOutError
		require.ErrorAs(t, k.reserve(db, "one", "ramen", 1, "pizza", 1), &soldOut, "the order has a pizza, and there is no such dish")
		assert.Equal(t, order.SoldOutError{Dish: k.id("pizza"), Left: 0}, *soldOut, "the order has a pizza, and there is no such dish")
	})

	t.Run("adds_up_a_dish_that_comes_twice", func(t *testing.T) {
		k := newKitchen(t, db, "tea", 3)
		var soldOut *order.SoldOutError
		require.ErrorAs(t, k.reserve(db, "one", "tea", 2, "tea", 2), &soldOut, "3 tea are left, and 2 tea and 2 tea are ordered, in two items: their sum is needed")
		require.Equal(t, order.SoldOutError{Dish: k.id("tea"), Left: 3}, *soldOut, "3 tea are left, and 2 tea and 2 tea are ordered: the dish, and how many there are")
		require.NoError(t, k.reserve(db, "two", "tea", 1, "tea", 2), "3 tea are left, and 1 tea and 2 tea are ordered")
		assert.Equal(t, "0 tea", k.left(), "3 tea were left, and 1 tea and 2 tea were ordered: what is left then")
	})

	t.Run("takes_nothing_where_nothing_is_ordered", func(t *testing.T) {
		k := newKitchen(t, db, "tea", 3)
		require.NoError(t, k.reserve(db, "one"), "an order of no items: there is enough of all that it needs")
		require.NoError(t, k.reserve(db, "two", "tea", 1), "another order")
		assert.Equal(t, "2 tea", k.left(), "3 tea were left, and nothing was ordered, and 1 tea: what is left then")
	})

	t.Run("is_at_the_level_that_it_is_told", func(t *testing.T) {
		k := newKitchen(t, db, "tea", 3)
		for i, level := range []sql.IsolationLevel{committed, sql.LevelRepeatableRead, serializable} {
			w := &levels{DB: db}
			require.NoError(t, stock.Reserve(k.ctx, w, level, k.id(fmt.Sprint(i)), k.items([]any{"tea", 1})), "1 of 3 tea is ordered")
			require.Equal(t, []sql.IsolationLevel{level}, w.all, "the levels of the transactions that were begun, when Reserve was told %s: give it to once", level)
		}
	})

	t.Run("takes_once_for_an_order", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10)
		require.NoError(t, k.reserve(db, "one", "ramen", 2))
		require.NoError(t, k.reserve(db, "one", "ramen", 2), "the same order again: a caller that got no answer asks again")
		assert.Equal(t, "8 ramen", k.left(), "10 ramen were left, and one order for 2 was reserved twice: what is left then")
	})

	t.Run("tells_at_once_that_it_is_sold_out", func(t *testing.T) {
		k := newKitchen(t, db, "tea", 0)
		proxy := pgproxy.Start(t, databaseURL, nil)
		require.ErrorIs(t, k.reserve(open(t, proxy.URL), "one", "tea", 1), order.ErrSoldOut, "0 tea are left, and 1 is ordered")
		assert.Equal(t, 1, attempts(proxy), "0 tea are left, and 1 is ordered: transactions that were begun. Sold out stays sold out; only 40001 and 40P01 are tried again")
	})

	for _, level := range []sql.IsolationLevel{committed, serializable} {
		t.Run("two_buyers_of_the_last_one_get_one_"+name(level), func(t *testing.T) {
			k := newKitchen(t, db, "tea", 1)
			k.level = level
			gate := newGate("COMMIT")
			through := open(t, pgproxy.Start(t, databaseURL, gate.judge).URL)
			defer gate.open()
			ada := k.start(through, "ada", "tea", 1)
			gate.waitFor(t, 1, ada, "ada's order for the last tea: its COMMIT")
			bob := k.start(through, "bob", "tea", 1)
			// Bob's comes as far as it can while ada has taken the tea and not committed yet.
			condition(t, func() bool { return gate.arrived() == 2 || len(bob) == 1 || k.waiting() > 0 }, "bob's order for the last tea, while ada's has taken it and not committed yet, waits for ada's")
			gate.open()
			one, other := result(t, ada), result(t, bob)
			if one != nil {
				one, other = other, one
			}
			require.NoError(t, one, "1 tea is left, and ada and bob order one at the same time, at %s: one of them gets it", level)
			require.ErrorIs(t, other, order.ErrSoldOut, "1 tea is left, and ada and bob order one at the same time, at %s. What one has read, the other may be about to change: lock the row when you read it (FOR UPDATE), so that bob reads it when ada has committed. The other one's error", level)
			assert.Equal(t, "0 tea", k.left(), "1 tea was left, and ada and bob ordered one at the same time: what is left then")
		})

		t.Run("50_buyers_of_10_get_10_"+name(level), func(t *testing.T) {
			k := newKitchen(t, db, "ramen", 10)
			k.level = level
			var buyers []<-chan error
			for i := range 50 {
				buyers = append(buyers, k.start(crowd, fmt.Sprint("order-", i), "ramen", 1))
			}
			sold := 0
			for i, buyer := range buyers {
				if err := result(t, buyer); err == nil {
					sold++
				} else {
					assert.ErrorIs(t, err, order.ErrSoldOut, "10 ramen are left, and 50 buyers order one at once, at %s: buyer %d gets none, and is told that it is sold out", level, i)
				}
			}
			require.Equal(t, 10, sold, "10 ramen were left, and 50 buyers ordered one at once, at %s: how many got one", level)
			assert.Equal(t, "0 ramen", k.left(), "10 ramen were left, and 50 buyers ordered one at once: what is left then")
		})
	}

	t.Run("locks_in_one_order", func(t *testing.T) {
		k := newKitchen(t, db, "aioli", 5, "zabaione", 5)
		// Somebody has the zabaione. Whether Reserve, which waits for it, has the aioli
		// by then, must not depend on which the customer named first.
		heldWhile := func(id string, items ...any) (held bool) {
			tx := db.MustBegin()
			defer tx.Rollback()
			tx.MustExec(`SELECT FROM dishes WHERE id = $1 FOR UPDATE`, k.id("zabaione"))
			done := k.start(open(t, databaseURL), id, items...)
			condition(t, func() bool { return len(done) == 1 || k.waiting() > 0 }, "an order for both dishes waits for the zabaione, which somebody else has locked")
			require.Empty(t, done, "an order for aioli and zabaione returned while somebody else has locked the zabaione: it has to wait until that one has committed. Lock the row when you read it (FOR UPDATE)")
			other := db.MustBegin()
			defer other.Rollback()
			var free []string
			require.NoError(t, other.Select(&free, `SELECT id FROM dishes WHERE id = $1 FOR UPDATE SKIP LOCKED`, k.id("aioli")))
			require.NoError(t, other.Rollback())
			require.NoError(t, tx.Rollback())
			require.NoError(t, result(t, done), "an order for both dishes, when both are free")
			return len(free) == 0
		}
		sorted := heldWhile("one", "aioli", 1, "zabaione", 1)
		crossed := heldWhile("two", "zabaione", 1, "aioli", 1)
		assert.Equal(t, sorted, crossed,
			"somebody has locked the zabaione. Is the aioli locked by an order that waits: yes or no for one of (aioli, zabaione), wanted the same for one of (zabaione, aioli). Otherwise each of two such orders may have what the other waits for, a deadlock: lock the rows in one order (ORDER BY id), not in the customer's")
	})

	t.Run("crossing_orders_all_get_through", func(t *testing.T) {
		k := newKitchen(t, db, "aioli", 20, "zabaione", 20)
		ways := [][]any{{"aioli", 1, "zabaione", 1}, {"zabaione", 1, "aioli", 1}}
		var buyers []<-chan error
		for i := range 20 {
			buyers = append(buyers, k.start(crowd, fmt.Sprint("order-", i), ways[i%2]...))
		}
		for _, buyer := range buyers {
			require.NoError(t, result(t, buyer), "20 orders at once, half of them of aioli and zabaione, half of zabaione and aioli: there is enough of both")
		}
		assert.Equal(t, "0 aioli, 0 zabaione", k.left(), "20 orders of one aioli and one zabaione, of 20 each: what is left then")
	})

	for _, fault := range []struct{ code, name, when string }{
		{"40001", "serialization_failure", "in_the_transaction"},
		{"40P01", "deadlock_detected", "in_the_transaction"},
		{"40001", "serialization_failure", "at_COMMIT"},
	} {
		t.Run(fmt.Sprintf("tries_again_after_%s_%s", fault.code, fault.when), func(t *testing.T) {
			k := newKitchen(t, db, "ramen", 10)
			k.fail("ramen", fault.code, fault.when == "at_COMMIT", 2)
			require.NoError(t, k.reserve(db, "one", "ramen", 2), "twice, the server rolls the transaction back, %s, by the code %s (%s): the same one may succeed next time", strings.ReplaceAll(fault.when, "_", " "), fault.code, fault.name)
			assert.Equal(t, "8 ramen", k.left(), "10 ramen were left, and 2 were ordered, at the third attempt: what is left then")
		})
	}

	t.Run("tries_no_other_fault_again", func(t *testing.T) {
		for _, fault := range []struct{ code, name string }{
			{"P0001", "raise_exception"}, {"40002", "transaction_integrity_constraint_violation"}, {"40003", "statement_completion_unknown"}, {"55P03", "lock_not_available"}, {"57014", "query_canceled"},
		} {
			dish := "ramen " + fault.code
			k := newKitchen(t, db, dish, 10)
			k.fail(dish, fault.code, false, 1000)
			proxy := pgproxy.Start(t, databaseURL, nil)
			require.Error(t, k.reserve(open(t, proxy.URL), fault.code, dish, 2), "the server refuses it by the code %s (%s)", fault.code, fault.name)
			require.Equal(t, 1, attempts(proxy), "the server refuses it by the code %s (%s): transactions that were begun. Only 40001 and 40P01 say that the same one may succeed next time; what is of the same class (40) as they need not", fault.code, fault.name)
		}
	})

	t.Run("gives_up_in_the_end", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10)
		k.fail("ramen", "40001", false, 1_000_000)
		proxy := pgproxy.Start(t, databaseURL, nil)
		err := k.reserve(open(t, proxy.URL), "one", "ramen", 2)
		require.Error(t, err, "the server rolls back each attempt, by the code 40001")
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the server rolls back each attempt, by the code 40001: Reserve has tried for %s, until its context was done. It must give up by itself, after Attempts", patience)
		require.ErrorIs(t, err, order.ErrUnavailable, "the server has rolled back each attempt: nothing is taken")
		assert.Equal(t, stock.Attempts, attempts(proxy), "the server rolls back each attempt, by the code 40001: transactions that were begun, wanted Attempts")
	})

	t.Run("ends_with_its_context", func(t *testing.T) {
		k := newKitchen(t, db, "ramen", 10)
		tx := db.MustBegin()
		defer tx.Rollback()
		tx.MustExec(`SELECT FROM dishes WHERE id = $1 FOR UPDATE`, k.id("ramen"))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		k.ctx = ctx
		done := k.start(open(t, databaseURL), "one", "ramen", 2)
		condition(t, func() bool { return len(done) == 1 || k.waiting() > 0 }, "an order for ramen waits, since somebody else has locked the row")
		cancel()
		require.ErrorIs(t, result(t, done), context.Canceled, "an order waits for a lock, and its customer leaves: send each statement in ctx")
		require.NoError(t, tx.Rollback())
		assert.Equal(t, "10 ramen", k.left(), "the customer left while the order waited: what is left then")
	})
}

// patience is how long a call may take. What has to be done takes some milliseconds.
const patience = 3 * time.Second

// levels is a database that notes at which level transactions are begun.
type levels struct {
	*sqlx.DB
	all []sql.IsolationLevel
}

func (l *levels) BeginTxx(ctx context.Context, opts *sql.TxOptions) (*sqlx.Tx, error) {
	l.all = append(l.all, opts.Isolation)
	return l.DB.BeginTxx(ctx, opts)
}

// kitchen are dishes of a test's own, in a database that all tests share.
type kitchen struct {
	t      *testing.T
	db     *sqlx.DB
	prefix string
	level  sql.IsolationLevel
	ctx    context.Context
}

// newKitchen has dishes and how many there are of each, as in "ramen", 10.
func newKitchen(t *testing.T, db *sqlx.DB, dishes ...any) *kitchen {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	k := &kitchen{t: t, db: db, prefix: strings.TrimPrefix(t.Name(), "TestReserve/") + ":", level: committed, ctx: ctx}
	for i, item := range k.items(dishes) {
		db.MustExec(`INSERT INTO dishes (id, position, name, price, currency, stock) VALUES ($1, $2, $1, 100, 'EUR', $3)`, item.Dish, i, item.Quantity)
	}
	return k
}

// id is a dish's or an order's.
func (k *kitchen) id(name string) string { return k.prefix + name }

func (k *kitchen) items(list []any) (items []order.Item) {
	for i := 0; i < len(list); i += 2 {
		items = append(items, order.Item{Dish: k.id(list[i].(string)), Quantity: list[i+1].(int)})
	}
	return items
}

// reserve reserves, as in "ramen", 2. It has to return.
func (k *kitchen) reserve(db *sqlx.DB, id string, items ...any) error {
	k.t.Helper()
	return result(k.t, k.start(db, id, items...))
}

// start reserves in a goroutine.
func (k *kitchen) start(db *sqlx.DB, id string, items ...any) <-chan error {
	done := make(chan error, 1)
	go func() { done <- stock.Reserve(k.ctx, db, k.level, k.id(id), k.items(items)) }()
	return done
}

func result(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience + 2*time.Second):
		require.Fail(t, "Reserve does not return", "its context ended after %s, and Reserve goes on: give ctx to each statement, and to each pause", patience)
		return nil
	}
}

// left is how many there are of each dish, by name.
func (k *kitchen) left() string {
	k.t.Helper()
	return k.list(`SELECT stock || ' ' || substr(id, length($1) + 1) FROM dishes WHERE starts_with(id, $1) ORDER BY id`, k.prefix)
}

// reserved is what the order has taken.
func (k *kitchen) reserved(id string) string {
	k.t.Helper()
	return k.list(`SELECT quantity || ' ' || substr(dish, length($1) + 1) FROM reserved_items WHERE order_id = $1 || $2 ORDER BY dish`, k.prefix, id)
}

func (k *kitchen) list(query string, args ...any) string {
	k.t.Helper()
	var rows []string
	require.NoError(k.t, k.db.Select(&rows, query, args...))
	return strings.Join(rows, ", ")
}

// waiting is how many transactions wait for a lock.
func (k *kitchen) waiting() int {
	var n int
	_ = k.db.Get(&n, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	return n
}

// fail has the server refuse the first times changes of the dish's stock by code:
// by the statement, or by the COMMIT.
func (k *kitchen) fail(dish, code string, atCommit bool, times int) {
	k.t.Helper()
	name := fmt.Sprintf("fail_%d", time.Now().UnixNano())
	k.db.MustExec(`CREATE SEQUENCE ` + name) // it counts on when a transaction is rolled back
	k.db.MustExec(fmt.Sprintf(`CREATE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('%[1]s') <= %[2]d THEN RAISE EXCEPTION 'the test says so' USING ERRCODE = '%[3]s'; END IF;
			RETURN NEW;
		END $$`, name, times, code))
	trigger := `CREATE TRIGGER %[1]s BEFORE UPDATE ON dishes FOR EACH ROW WHEN (NEW.id = '%[2]s') EXECUTE FUNCTION %[1]s()`
	if atCommit {
		trigger = `CREATE CONSTRAINT TRIGGER %[1]s AFTER UPDATE ON dishes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = '%[2]s') EXECUTE FUNCTION %[1]s()`
	}
	k.db.MustExec(fmt.Sprintf(trigger, name, k.id(dish)))
}

// gate holds up statements that begin with a word.
type gate struct {
	word   string
	once   sync.Once
	opened chan struct{}

	mu sync.Mutex // guards n
	n  int        // statements that came
}

func newGate(word string) *gate { return &gate{word: word, opened: make(chan struct{})} }

func (g *gate) judge(sql string) pgproxy.Fate {
	if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(sql)), g.word) {
		g.mu.Lock()
		g.n++
		g.mu.Unlock()
		<-g.opened
	}
	return pgproxy.Pass
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) arrived() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// waitFor waits until n statements have come to the gate, of a call that still runs.
func (g *gate) waitFor(t *testing.T, n int, done <-chan error, what string) {
	t.Helper()
	condition(t, func() bool { return g.arrived() == n || len(done) > 0 }, what)
	if g.arrived() != n {
		require.Fail(t, "Reserve returned", "%s was not sent, and Reserve returned %v", what, <-done)
	}
}

// condition waits until cond holds.
func condition(t *testing.T, cond func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "within %s: %s", patience, what)
	}
}

// attempts is how many transactions were begun.
func attempts(p *pgproxy.Proxy) (n int) {
	for _, sql := range p.Statements() {
		if strings.HasPrefix(sql, "BEGIN") {
			n++
		}
	}
	return n
}

func name(level sql.IsolationLevel) string {
	return strings.ReplaceAll(strings.ToLower(level.String()), " ", "_")
}

// open opens a pool of its own, which is closed when the test ends.
func open(t *testing.T, databaseURL string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", databaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
