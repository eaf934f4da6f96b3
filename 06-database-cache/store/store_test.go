package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/06-database-cache/pgproxy"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/store"
)

func TestMenu(t *testing.T) {
	t.Parallel()
	s, empty := newStore(t, store.Config{})
	ordertest.TestMenu(t, func(t *testing.T, dishes []order.Dish) order.Menu {
		empty(t)
		require.NoError(t, s.Seed(t.Context(), dishes, nil))
		return s
	})
}

func TestStock(t *testing.T) {
	t.Parallel()
	for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelSerializable} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			s, empty := newStore(t, store.Config{Level: level, Wait: 10 * time.Second})
			ordertest.TestStock(t, func(t *testing.T, left map[string]int) order.Stock {
				empty(t)
				var dishes []order.Dish
				for id := range left {
					dishes = append(dishes, order.Dish{ID: id, Name: id, Price: order.Money{Amount: 100, Currency: "EUR"}})
				}
				require.NoError(t, s.Seed(t.Context(), dishes, left))
				return s
			})
		})
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	s, empty := newStore(t, store.Config{Wait: 10 * time.Second})
	ordertest.TestOrders(t, func(t *testing.T) order.Orders {
		empty(t)
		return s
	})
}

func TestNew(t *testing.T) {
	t.Run("names_all_faults", func(t *testing.T) {
		_, err := store.New(nil, store.Config{Wait: -1, Level: sql.LevelLinearizable})
		assert.ErrorContains(t, err, "Wait")
		assert.ErrorContains(t, err, "Level")
	})
}

func TestSeed(t *testing.T) {
	t.Parallel()
	t.Run("leaves_what_is_there", func(t *testing.T) {
		s, _ := newStore(t, store.Config{})
		menu := []order.Dish{{ID: "tea", Name: "Tea", Price: order.Money{Amount: 310, Currency: "EUR"}}}
		require.NoError(t, s.Seed(t.Context(), menu, map[string]int{"tea": 5}))
		require.NoError(t, s.Reserve(t.Context(), "one", []order.Item{{Dish: "tea", Quantity: 2}}))
		menu[0].Name = "Another"
		require.NoError(t, s.Seed(t.Context(), menu, map[string]int{"tea": 5}), "a second replica starts")
		left, err := s.Left(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"tea": 3}, left)
		dishes, err := s.Dishes(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "Tea", dishes[0].Name)
	})
}

// paid writes a mail into the outbox, as chapter 7 does.
func paid(ctx context.Context, tx *sqlx.Tx, o order.Order) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, '', $3)`, "paid-"+o.ID, o.Customer, o.Payment)
	return err
}

func TestPaid(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s, err := store.New(db, store.Config{Paid: paid})
	require.NoError(t, err)
	mails := func(t *testing.T, id string) (payments []string) {
		t.Helper()
		require.NoError(t, db.Select(&payments, `SELECT text FROM outbox WHERE key = $1`, "paid-"+id))
		return payments
	}

	t.Run("is_called_for_an_order_that_is_created_paid", func(t *testing.T) {
		require.NoError(t, s.Create(t.Context(), sample("one", order.Paid)))
		assert.Equal(t, []string{"pi_one"}, mails(t, "one"))
	})

	t.Run("is_called_when_an_order_becomes_paid_and_once", func(t *testing.T) {
		o := sample("two", order.Pending)
		require.NoError(t, s.Create(t.Context(), o))
		require.Empty(t, mails(t, "two"))
		o.State, o.Payment = order.Paid, "pi_late"
		o, err := s.Update(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, []string{"pi_late"}, mails(t, "two"))
		o.Updated = o.Updated.Add(time.Second)
		_, err = s.Update(t.Context(), o)
		require.NoError(t, err, "an Update that leaves it paid: the key would be there twice")
	})

	t.Run("its_error_undoes_the_order", func(t *testing.T) {
		full := errors.New("no room for mail")
		s, err := store.New(db, store.Config{Paid: func(context.Context, *sqlx.Tx, order.Order) error { return full }})
		require.NoError(t, err)
		require.ErrorIs(t, s.Create(t.Context(), sample("three", order.Paid)), full)
		_, err = s.Get(t.Context(), "three")
		require.ErrorIs(t, err, order.ErrNotFound)
		o := sample("four", order.Pending)
		require.NoError(t, s.Create(t.Context(), o))
		o.State = order.Paid
		_, err = s.Update(t.Context(), o)
		require.ErrorIs(t, err, full)
		o, err = s.Get(t.Context(), "four")
		require.NoError(t, err)
		assert.Equal(t, order.Pending, o.State)
		assert.Equal(t, 1, o.Version)
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	databaseURL := pgtest.URL(t)
	pool := func(t *testing.T, databaseURL string, c store.Config) (*store.Store, *sqlx.DB) {
		t.Helper()
		db, err := dbpool.Open(databaseURL, dbpool.Config{MaxOpen: 4})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		s, err := store.New(db, c)
		require.NoError(t, err)
		return s, db
	}
	all := func(s *store.Store, ctx context.Context) map[string]error {
		errs := map[string]error{
			"Create": s.Create(ctx, sample("one", order.Paid)), "Reserve": s.Reserve(ctx, "one", []order.Item{{Dish: "tea", Quantity: 1}}),
			"Release": s.Release(ctx, "one"), "Seed": s.Seed(ctx, []order.Dish{{ID: "tea", Name: "Tea", Price: order.Money{Amount: 1, Currency: "EUR"}}}, nil),
		}
		_, errs["Get"] = s.Get(ctx, "one")
		_, errs["Update"] = s.Update(ctx, sample("one", order.Paid))
		_, errs["List"] = s.List(ctx, order.Query{Limit: 1})
		_, errs["Dishes"] = s.Dishes(ctx)
		_, errs["Left"] = s.Left(ctx)
		return errs
	}

	t.Run("a_database_that_is_away_is_unavailable", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		address := listener.Addr().String()
		require.NoError(t, listener.Close())
		s, _ := pool(t, "postgres://postgres@"+address+"/shop?sslmode=disable", store.Config{})
		for call, err := range all(s, t.Context()) {
			assert.ErrorIs(t, err, order.ErrUnavailable, call)
		}
	})

	t.Run("a_full_pool_is_unavailable_in_time", func(t *testing.T) {
		s, db := pool(t, databaseURL, store.Config{Wait: 10 * time.Millisecond})
		for range 4 {
			conn, err := db.Connx(t.Context())
			require.NoError(t, err)
			defer conn.Close()
		}
		for call, err := range all(s, t.Context()) {
			assert.ErrorIs(t, err, dbpool.ErrBusy, call)
			assert.ErrorIs(t, err, order.ErrUnavailable, call)
		}
	})

	t.Run("connections_that_died_while_idle_are_replaced", func(t *testing.T) {
		s, db := pool(t, databaseURL, store.Config{})
		var conns []*sqlx.Conn
		for range 4 {
			conn, err := db.Connx(t.Context())
			require.NoError(t, err)
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			require.NoError(t, conn.Close())
		}
		require.Equal(t, 4, db.Stats().Idle)
		admin := sqlx.MustOpen("postgres", databaseURL)
		defer admin.Close()
		const ours = ` FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'orders'`
		admin.MustExec(`SELECT pg_terminate_backend(pid)` + ours)
		require.Eventually(t, func() bool {
			var n int
			return admin.Get(&n, `SELECT count(*)`+ours) == nil && n == 0
		}, 5*time.Second, 2*time.Millisecond, "the server ends the pool's connections")
		require.NoError(t, s.Create(t.Context(), sample("after", order.Paid)), "all connections of the pool were ended by the server, and it is there: the first call notices, and nobody else does")
	})

	t.Run("a_lost_COMMIT_is_unknown", func(t *testing.T) {
		cut := false
		proxy := pgproxy.Start(t, databaseURL, func(sql string) pgproxy.Fate {
			if cut && sql == "COMMIT" {
				return pgproxy.CutAfter
			}
			return pgproxy.Pass
		})
		s, _ := pool(t, proxy.URL, store.Config{})
		o := sample("lost", order.Pending)
		require.NoError(t, s.Create(t.Context(), o))
		cut = true
		_, err := s.Update(t.Context(), o)
		require.ErrorIs(t, err, order.ErrUnknown)
		require.NotErrorIs(t, err, order.ErrUnavailable)
		require.ErrorIs(t, s.Create(t.Context(), sample("lost-2", order.Paid)), order.ErrUnknown)
		require.ErrorIs(t, s.Release(t.Context(), "lost"), order.ErrUnknown)
		require.ErrorIs(t, s.Reserve(t.Context(), "lost-3", nil), order.ErrUnknown)
	})

	t.Run("a_text_that_cannot_be_kept_is_invalid", func(t *testing.T) {
		s, _ := pool(t, databaseURL, store.Config{})
		for _, id := range []string{"a\x00b", "\xff"} {
			require.ErrorIs(t, s.Create(t.Context(), sample(id, order.Paid)), order.ErrInvalid, "an ID %q: PostgreSQL keeps UTF-8, without the octet 0", id)
			_, err := s.Get(t.Context(), id)
			require.ErrorIs(t, err, order.ErrInvalid)
		}
	})
}

// Of two replicas that place the same order, one may fail, and undo it.
func TestUndone(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s, err := store.New(db, store.Config{Wait: 10 * time.Second})
	require.NoError(t, err)
	menu := []order.Dish{{ID: "tea", Name: "Tea", Price: order.Money{Amount: 310, Currency: "EUR"}}}
	require.NoError(t, s.Seed(t.Context(), menu, map[string]int{"tea": 100}))
	tea := []order.Item{{Dish: "tea", Quantity: 1}}
	left := func(t *testing.T) int {
		t.Helper()
		left, err := s.Left(t.Context())
		require.NoError(t, err)
		return left["tea"]
	}

	t.Run("an_order_that_was_undone_is_not_kept", func(t *testing.T) {
		require.NoError(t, s.Reserve(t.Context(), "undone", tea))
		require.NoError(t, s.Release(t.Context(), "undone"))
		require.ErrorIs(t, s.Create(t.Context(), sample("undone", order.Paid)), order.ErrConflict)
		_, err := s.Get(t.Context(), "undone")
		require.ErrorIs(t, err, order.ErrNotFound)
		require.Equal(t, 100, left(t))
	})
	t.Run("an_order_that_is_kept_is_not_undone", func(t *testing.T) {
		require.NoError(t, s.Reserve(t.Context(), "kept", tea))
		require.NoError(t, s.Create(t.Context(), sample("kept", order.Paid)))
		require.ErrorIs(t, s.Release(t.Context(), "kept"), order.ErrUnavailable)
		require.NoError(t, s.Reserve(t.Context(), "kept", tea), "it was not marked as released")
		require.Equal(t, 99, left(t))
	})
	t.Run("one_that_was_cancelled_is", func(t *testing.T) {
		for _, state := range []order.State{order.Pending, order.Cancelling, order.Cancelled} {
			id, before := string(state), left(t)
			require.NoError(t, s.Reserve(t.Context(), id, tea))
			require.NoError(t, s.Create(t.Context(), sample(id, state)))
			require.NoError(t, s.Release(t.Context(), id), state)
			require.Equal(t, before, left(t), state)
		}
	})
	t.Run("of_both_at_once_one_is_done", func(t *testing.T) {
		for n := range 50 {
			id, before := fmt.Sprint("race-", n), left(t)
			require.NoError(t, s.Reserve(t.Context(), id, tea))
			var created, released error
			var both sync.WaitGroup
			both.Go(func() { created = s.Create(t.Context(), sample(id, order.Paid)) })
			both.Go(func() { released = s.Release(t.Context(), id) })
			both.Wait()
			if created == nil {
				require.ErrorIs(t, released, order.ErrUnavailable)
				require.Equal(t, before-1, left(t))
			} else {
				require.ErrorIs(t, created, order.ErrConflict)
				require.NoError(t, released)
				require.Equal(t, before, left(t))
			}
		}
	})
}

// TestStatements counts trips: each is a round trip to the server.
func TestStatements(t *testing.T) {
	t.Parallel()
	proxy := pgproxy.Start(t, pgtest.URL(t), nil)
	db, err := dbpool.Open(proxy.URL, dbpool.Config{})
	require.NoError(t, err)
	defer db.Close()
	s, err := store.New(db, store.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Seed(t.Context(), []order.Dish{{ID: "tea", Name: "Tea", Price: order.Money{Amount: 1, Currency: "EUR"}}}, map[string]int{"tea": 9}))
	o := sample("one", order.Paid)
	for _, call := range []struct {
		name string
		f    func(ctx context.Context) error
		want int
	}{
		{"Dishes", func(ctx context.Context) error { _, err := s.Dishes(ctx); return err }, 1},
		{"Left", func(ctx context.Context) error { _, err := s.Left(ctx); return err }, 1},
		{"Create", func(ctx context.Context) error { return s.Create(ctx, o) }, 5},
		{"Get", func(ctx context.Context) error { _, err := s.Get(ctx, "one"); return err }, 1},
		{"List", func(ctx context.Context) error { _, err := s.List(ctx, order.Query{Limit: 50}); return err }, 2},
		{"Update", func(ctx context.Context) error { _, err := s.Update(ctx, o); return err }, 3},
		{"Reserve", func(ctx context.Context) error {
			return s.Reserve(ctx, "one", []order.Item{{Dish: "tea", Quantity: 1}})
		}, 5},
		{"Release", func(ctx context.Context) error { return s.Release(ctx, "two") }, 5},
	} {
		proxy.Forget()
		require.NoError(t, call.f(t.Context()), call.name)
		got := proxy.Statements()
		assert.Len(t, got, call.want, "%s: %s", call.name, strings.Join(got, "; "))
		assert.False(t, slices.Contains(got, ""), "%s: %q", call.name, got)
	}
}

// newStore returns a store with a database of its own, and what empties it.
func newStore(t *testing.T, c store.Config) (s *store.Store, empty func(t *testing.T)) {
	t.Helper()
	db, err := dbpool.Open(pgtest.URL(t), dbpool.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	s, err = store.New(db, c)
	require.NoError(t, err)
	return s, func(t *testing.T) {
		t.Helper()
		_, err := db.Exec(`DELETE FROM orders; DELETE FROM reservations; DELETE FROM dishes`) // quicker than TRUNCATE, of little
		require.NoError(t, err)
	}
}

// sample is ada's order of two lines.
func sample(id string, state order.State) order.Order {
	euro := func(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }
	at := time.Date(2030, 1, 2, 19, 15, 0, 123456000, time.UTC)
	o := order.Order{
		ID: id, Customer: "ada", State: state, Method: "pm_card_visa", Version: 1, Created: at, Updated: at,
		Lines: []order.Line{
			{Dish: "tea", Name: "Green tea", Quantity: 1, Unit: euro(310), Total: euro(310)},
			{Dish: "ramen", Name: "Ramen", Quantity: 2, Unit: euro(1250), Total: euro(2500)},
		},
		Totals: order.Totals{Subtotal: euro(2810), Discount: euro(281), Tax: euro(481), Total: euro(3010)},
	}
	if state != order.Pending {
		o.Payment = "pi_" + id
	}
	return o
}
