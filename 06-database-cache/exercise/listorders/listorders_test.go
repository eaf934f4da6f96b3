package listorders_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/exercise/listorders"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/createorder"
)

func TestList(t *testing.T) {
	db := pgtest.Open(t)
	keep(t, db,
		sample("b", "ada", 1, order.Paid), sample("c", "ada", 2, order.Pending), sample("a", "ada", 3, order.Paid),
		sample("x", "bob", 4, order.Paid),
		sample("k1", "kim", 5, order.Paid), sample("k3", "kim", 5, order.Paid), sample("k2", "kim", 5, order.Paid), sample("K9", "kim", 5, order.Paid),
	)
	db.MustExec(`UPDATE order_lines SET name = name WHERE position = 1`) // so that they do not stand in the table in their order

	t.Run("lists_the_newest_first", func(t *testing.T) {
		assert.Equal(t, "a c b", ids(t, db, order.Query{Customer: "ada", Limit: 10}), "ada ordered b, then c, then a: her orders, ORDER BY created DESC")
	})

	t.Run("lists_those_of_one_moment_by_ID", func(t *testing.T) {
		assert.Equal(t, "k3 k2 k1 K9", ids(t, db, order.Query{Customer: "kim", Limit: 10}), "kim ordered k1, k2, k3 and K9 in the same moment: those by ID, downwards, ORDER BY created DESC, id DESC. IDs are compared octet by octet, as the column's collation says")
	})

	t.Run("has_each_order_whole", func(t *testing.T) {
		got := list(t, db, order.Query{Customer: "bob", Limit: 10})
		require.Len(t, got, 1, "bob's orders")
		require.NotEmpty(t, got[0].Lines, "bob's order: its lines, which the second statement reads")
		assert.Equal(t, sample("x", "bob", 4, order.Paid), got[0], "bob's order, as it was created: its lines in their order, its times in UTC")
	})

	t.Run("gives_each_order_its_own_lines", func(t *testing.T) {
		got := list(t, db, order.Query{Customer: "ada", Limit: 10})
		require.Len(t, got, 3, "ada's orders")
		for i, id := range []string{"a", "c", "b"} {
			want := sample(id, "ada", 0, "").Lines
			assert.Equal(t, want, got[i].Lines, "the lines of ada's order %q, in a page of three: all lines come from one statement, and their column order_id says whose each is. They are in the order of the column position: without ORDER BY, they come as they happen to stand in the table", id)
		}
	})

	t.Run("stops_at_the_limit", func(t *testing.T) {
		assert.Equal(t, "k3 k2", ids(t, db, order.Query{Customer: "kim", Limit: 2}), "the first 2 of kim's 4 orders")
	})

	t.Run("refuses_a_limit_below_1", func(t *testing.T) {
		_, err := listorders.List(within(t), db, order.Query{Customer: "kim"})
		require.ErrorIs(t, err, order.ErrInvalid, "a limit of 0")
		assert.Equal(t, "k3", ids(t, db, order.Query{Customer: "kim", Limit: 1}), "a limit of 1")
	})

	t.Run("lists_those_of_all_customers", func(t *testing.T) {
		assert.Equal(t, "k3 k2 k1 K9 x a c b", ids(t, db, order.Query{Limit: 10}), "an empty Customer means everybody's orders")
	})

	t.Run("lists_those_of_one_state", func(t *testing.T) {
		assert.Equal(t, "a b", ids(t, db, order.Query{Customer: "ada", State: order.Paid, Limit: 10}), "those of ada's orders that are paid")
		assert.Equal(t, "c", ids(t, db, order.Query{State: order.Pending, Limit: 10}), "everybody's orders that are pending")
	})

	t.Run("begins_behind_the_cursor", func(t *testing.T) {
		assert.Equal(t, "c b", ids(t, db, order.Query{Customer: "ada", Limit: 10, After: cursor(sample("a", "ada", 3, ""))}), "ada's orders behind a: those that were created before it")
	})

	t.Run("goes_on_within_one_moment", func(t *testing.T) {
		assert.Equal(t, "k2 k1", ids(t, db, order.Query{Customer: "kim", Limit: 2, After: cursor(sample("k3", "kim", 5, ""))}), "kim ordered K9, k1, k2 and k3 in the same moment, and the page before ended with k3: the next two. An order of the same moment comes after the cursor if its ID is lower: (created, id) < ($1, $2)")
	})

	t.Run("stays_where_it_is_when_orders_are_added", func(t *testing.T) {
		keep(t, db, sample("s1", "sam", 1, order.Paid), sample("s2", "sam", 2, order.Paid), sample("s3", "sam", 3, order.Paid), sample("s4", "sam", 4, order.Paid))
		first := list(t, db, order.Query{Customer: "sam", Limit: 2})
		require.Len(t, first, 2, "the first page of sam's four orders")
		keep(t, db, sample("s5", "sam", 5, order.Paid), sample("s6", "sam", 6, order.Paid))
		assert.Equal(t, "s2 s1", ids(t, db, order.Query{Customer: "sam", Limit: 2, After: cursor(first[1])}), "sam's first page was s4 and s3; then he ordered s5 and s6: the second page. None comes twice, and none is left out")
	})

	t.Run("is_empty_behind_the_last", func(t *testing.T) {
		last := sample("b", "ada", 1, "")
		require.Equal(t, "c b", ids(t, db, order.Query{Customer: "ada", Limit: 2, After: cursor(sample("a", "ada", 3, ""))}), "ada's last page")
		assert.Empty(t, list(t, db, order.Query{Customer: "ada", Limit: 2, After: cursor(last)}), "ada's orders behind her first one: there is none, and that is no error")
		assert.Empty(t, list(t, db, order.Query{Customer: "nobody", Limit: 2}), "the orders of one who has none: that is no error")
	})

	t.Run("takes_a_name_for_a_name", func(t *testing.T) {
		const customer, id = `o'hara' OR 'a'='a`, `o'1`
		keep(t, db, sample(id, customer, 7, order.Paid), sample("o2", customer, 6, order.Paid))
		const trick = `' OR 'a'='a`
		require.Empty(t, list(t, db, order.Query{Customer: trick, Limit: 10}), "the orders of a customer whose name is %q: there is none of that name. A name is a value, and goes to the server beside the statement, as $1: within the statement, an apostrophe ends the text, and what follows is SQL that a customer has written", trick)
		got := list(t, db, order.Query{Customer: customer, Limit: 10})
		require.Len(t, got, 2, "the orders of a customer whose name is %q. It is a value, and goes to the server beside the statement, as $1", customer)
		assert.Equal(t, sample(id, customer, 7, order.Paid), got[0], "the order with the ID %q, with its lines", id)
		assert.Equal(t, "o2", ids(t, db, order.Query{Customer: customer, State: order.Paid, Limit: 10, After: cursor(got[0])}), "the orders behind the one with the ID %q", id)
		for _, other := range []string{trick, "%", "ad_", "ADA"} {
			assert.Empty(t, list(t, db, order.Query{Customer: other, Limit: 10}), "the orders of a customer whose name is %q: there is none of that name", other)
			assert.Empty(t, list(t, db, order.Query{State: order.State(other), Limit: 10}), "the orders in the state %q: there is none", other)
		}
	})

	t.Run("has_the_currency_of_the_order", func(t *testing.T) {
		want := sample("u1", "uma", 1, order.Paid)
		for _, m := range []*order.Money{&want.Totals.Subtotal, &want.Totals.Discount, &want.Totals.Tax, &want.Totals.Total, &want.Lines[0].Unit, &want.Lines[0].Total, &want.Lines[1].Unit, &want.Lines[1].Total} {
			m.Currency = "USD"
		}
		keep(t, db, want)
		got := list(t, db, order.Query{Customer: "uma", Limit: 10})
		require.Len(t, got, 1, "uma's orders")
		assert.Equal(t, want, got[0], "uma's order, in USD: its lines have no currency of their own in the table, and are in that of the order")
	})

	for n, which := range []string{"first", "second"} {
		t.Run("tells_a_fault_of_the_"+which+"_statement", func(t *testing.T) {
			require.NotEmpty(t, list(t, db, order.Query{Customer: "kim", Limit: 4}), "kim's orders, when all is well")
			broken := &breaking{DB: db, at: n + 1}
			page, err := listorders.List(within(t), broken, order.Query{Customer: "kim", Limit: 4})
			if broken.n < n+1 {
				return // all of it is one statement, and it went well
			}
			require.ErrorIs(t, err, order.ErrUnavailable, "the connection breaks at the %s statement: the error, which failed makes. Half of an order is none, so it must not be dropped", which)
			require.Empty(t, page, "the page, beside an error")

			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			left := &breaking{DB: db, at: n + 1, before: cancel}
			_, err = listorders.List(ctx, left, order.Query{Customer: "kim", Limit: 4})
			require.ErrorIs(t, err, context.Canceled, "the context is cancelled before the %s statement is sent: the error. Each is sent in ctx", which)
			require.ErrorIs(t, err, order.ErrUnavailable, "the context is cancelled before the %s statement is sent: the error, which failed makes", which)
		})
	}

	t.Run("ends_with_its_context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := listorders.List(ctx, db, order.Query{Limit: 1})
		require.ErrorIs(t, err, context.Canceled, "the context was cancelled before the call: the error")
	})

	t.Run("makes_one_page_of_two_statements", func(t *testing.T) {
		w := &witness{DB: db}
		require.Len(t, list(t, w, order.Query{Customer: "kim", Limit: 4}), 4, "kim's four orders")
		assert.LessOrEqual(t, len(w.statements), 2, "statements for a page of four orders with their lines, wanted two for any page. A statement for the lines of each order is a trip to the server for each (N+1): ask for the lines of all of them at once, by order_id = ANY ($1). They were: %s", w)
	})

	// The same tables, with 2,000 orders of eve more, and one that she made long before.
	deep := func(t *testing.T, from int) *witness {
		t.Helper()
		var created time.Time
		require.NoError(t, db.Get(&created, `SELECT created FROM orders WHERE id = $1`, fmt.Sprintf("e%06d", from)))
		w := &witness{DB: db, explain: true}
		want := fmt.Sprintf("e%06d e%06d e%06d", from-1, from-2, from-3)
		require.Equal(t, want, ids(t, w, order.Query{Customer: "eve", Limit: 3, After: order.Cursor{Created: created, ID: fmt.Sprintf("e%06d", from)}}), "eve has 2,000 orders: three behind the %dth", from)
		return w
	}
	many(t, db, "eve", 2000)

	t.Run("is_sorted_by_the_index", func(t *testing.T) {
		w := deep(t, 1990)
		assert.NotContains(t, w.plan, `"Seq Scan" of orders`, "how the server made a page of three of eve's 2,000 orders. Reading all rows of the table to sort them takes the longer, the more orders there are: an index has them in this order already, (customer, created DESC, id DESC), if the statement asks for just that. %s", w)
	})

	t.Run("a_late_page_reads_as_little_as_the_first", func(t *testing.T) {
		first, last := deep(t, 1990), deep(t, 10)
		assert.InDelta(t, first.buffers, last.buffers, 4+0.1*float64(first.buffers),
			"buffers of 8 kB that the server read for a page of three, behind the 10th and behind the 1990th of eve's 2,000 orders; wanted about as many for both. What it reads and drops is read each time, by OFFSET as by a condition that no index can begin with (OR): compare rows, (created, id) < ($1, $2). The late one: %s", last)
	})
}

// witness is a database that notes the statements of List, and how the server
// executes them.
type witness struct {
	*sqlx.DB
	explain    bool
	statements []string
	plan       string // each kind of scan, as in "Seq Scan" of orders
	buffers    int    // that were read, from memory or disk
}

func (w *witness) String() string { return strings.Join(w.statements, "; ") + " " + w.plan }

func (w *witness) note(ctx context.Context, query string, args []any) {
	w.statements = append(w.statements, strings.Join(strings.Fields(query), " "))
	if !w.explain {
		return
	}
	var text string
	if err := w.DB.GetContext(ctx, &text, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+query, args...); err != nil {
		w.plan += " EXPLAIN says: " + err.Error()
		return
	}
	var plans []struct {
		Plan node
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) == 0 {
		w.plan += " " + text
		return
	}
	w.buffers += plans[0].Plan.Hit + plans[0].Plan.Read
	plans[0].Plan.walk(func(n node) {
		if n.Table != "" || n.Index != "" {
			w.plan += fmt.Sprintf(" [%q of %s, %d buffers]", n.Kind, strings.TrimSpace(n.Table+" "+n.Index), n.Hit+n.Read)
		}
	})
}

// node is a step of a plan.
type node struct {
	Kind  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Hit   int    `json:"Shared Hit Blocks"`
	Read  int    `json:"Shared Read Blocks"`
	Plans []node
}

func (n node) walk(f func(node)) {
	f(n)
	for _, child := range n.Plans {
		child.walk(f)
	}
}

func (w *witness) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	w.note(ctx, query, args)
	return w.DB.QueryContext(ctx, query, args...)
}

func (w *witness) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	w.note(ctx, query, args)
	return w.DB.QueryxContext(ctx, query, args...)
}

func (w *witness) QueryRowxContext(ctx context.Context, query string, args ...any) *sqlx.Row {
	w.note(ctx, query, args)
	return w.DB.QueryRowxContext(ctx, query, args...)
}

// breaking is a database whose connection breaks at a statement; or, if before is
// there, that is called before it.
type breaking struct {
	*sqlx.DB
	at, n  int
	before func()
}

func (b *breaking) next() error {
	if b.n++; b.n != b.at {
		return nil
	}
	if b.before == nil {
		return driver.ErrBadConn
	}
	b.before()
	return nil
}

func (b *breaking) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := b.next(); err != nil {
		return nil, err
	}
	return b.DB.QueryContext(ctx, query, args...)
}

func (b *breaking) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	if err := b.next(); err != nil {
		return nil, err
	}
	return b.DB.QueryxContext(ctx, query, args...)
}

// patience is how long List may take. Once it has not returned, the others are not
// waited for as long.
var patience = 3 * time.Second

// list calls List, which has to return.
func list(t *testing.T, db sqlx.QueryerContext, q order.Query) []order.Order {
	t.Helper()
	type result struct {
		page []order.Order
		err  error
	}
	ctx := within(t)
	done := make(chan result, 1)
	go func() {
		page, err := listorders.List(ctx, db, q)
		done <- result{page, err}
	}()
	select {
	case r := <-done:
		require.NoError(t, r.err, "List(%+v)", q)
		return r.page
	case <-time.After(patience):
		patience = 500 * time.Millisecond
		require.FailNow(t, "List does not return", "List(%+v) has not returned, and nothing here takes as long. If it waits for the database: its context ended after 2 s. If not: is there a loop that does not end?", q)
		return nil
	}
}

// ids lists, and returns the IDs of the page.
func ids(t *testing.T, db sqlx.QueryerContext, q order.Query) string {
	t.Helper()
	var all []string
	for _, o := range list(t, db, q) {
		all = append(all, o.ID)
	}
	return strings.Join(all, " ")
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// sample is an order of two lines, which tell whose they are.
func sample(id, customer string, minute int, state order.State) order.Order {
	euro := func(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }
	at := time.Date(2030, 1, 2, 19, minute, 0, 123456000, time.UTC)
	return order.Order{
		ID: id, Customer: customer, State: state, Method: "pm_card_visa", Payment: "pi_" + id, Version: 1, Created: at, Updated: at.Add(time.Second),
		Lines: []order.Line{
			{Dish: "tea", Name: "Green tea for " + id, Quantity: 1, Unit: euro(310), Total: euro(310)},
			{Dish: "ramen", Name: "Ramen for " + id, Quantity: 2, Unit: euro(1250), Total: euro(2500)},
		},
		Totals: order.Totals{Subtotal: euro(2810), Discount: euro(281), Tax: euro(481), Total: euro(3010)},
	}
}

func cursor(o order.Order) order.Cursor { return order.Cursor{Created: o.Created, ID: o.ID} }

func keep(t *testing.T, db *sqlx.DB, orders ...order.Order) {
	t.Helper()
	for _, o := range orders {
		require.NoError(t, createorder.Create(context.Background(), db, o))
	}
}

// many makes n orders of customer, one a minute, the newest with the highest number.
func many(t *testing.T, db *sqlx.DB, customer string, n int) {
	t.Helper()
	db.MustExec(`INSERT INTO orders SELECT left($1, 1) || to_char(n, 'FM000000'), $1, 'paid', 'EUR', 1000, 0, 0, 1000, 'pm', 'pi', 1, '2031-01-01'::timestamptz + n * interval '1 minute', now() FROM generate_series(1, $2::int) n`, customer, n)
	db.MustExec(`INSERT INTO order_lines SELECT id, 1, 'tea', 'Tea', 1, 1000, 1000 FROM orders WHERE customer = $1`, customer)
	db.MustExec(`VACUUM ANALYZE orders, order_lines`) // or the server would guess how many there are
}
