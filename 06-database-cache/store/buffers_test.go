package store_test

import (
	"context"
	"encoding/json"
	"flag"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/listorders"
)

var orders = flag.Int("orders", 2000, "how many orders TestListReads lists, at most; they are 100 at first")

// TestListReads counts the buffers of 8 kB that the server reads for a page of 20
// orders of three lines, with 100 orders and with many.
func TestListReads(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	const limit = 20
	// grow has n orders in all, one a minute, of 10 customers in turn.
	grow := func(n int) {
		const id = `md5(n::text)` // as scattered as those of the service
		db.MustExec(`INSERT INTO orders SELECT `+id+`, 'customer-' || n % 10, 'paid', 'EUR', 3000, 0, 0, 3000, 'pm', 'pi', 1, '2030-01-01'::timestamptz + n * interval '1 minute', now()
			FROM generate_series((SELECT count(*) FROM orders) + 1, $1) n`, n)
		db.MustExec(`INSERT INTO order_lines SELECT o.id, p, 'dish-' || p, 'Dish', 1, 1000, 1000 FROM orders o, generate_series(1, 3) p WHERE NOT EXISTS (SELECT FROM order_lines l WHERE l.order_id = o.id)`)
		db.MustExec(`VACUUM ANALYZE orders, order_lines`)
	}
	read := func(q order.Query) (page, lines int) {
		w := &witness{DB: db}
		got, err := listorders.List(t.Context(), w, q)
		require.NoError(t, err)
		require.Len(t, got, limit)
		require.Len(t, w.buffers, 2, "statements")
		return w.buffers[0], w.buffers[1]
	}
	// behind is the cursor behind the nth order of all, from the newest on.
	behind := func(n int) (c order.Cursor) {
		require.NoError(t, db.QueryRow(`SELECT created, id FROM orders ORDER BY created DESC, id DESC OFFSET $1 LIMIT 1`, n-1).Scan(&c.Created, &c.ID))
		return c
	}
	type reads struct{ page, lines, ofOnePage, ofOneLines int }
	measure := func(n int) (r reads) {
		grow(n)
		r.page, r.lines = read(order.Query{Limit: limit})
		if n >= 10*limit {
			r.ofOnePage, r.ofOneLines = read(order.Query{Customer: "customer-7", Limit: limit})
		}
		return r
	}
	few, many := measure(100), measure(*orders)
	t.Logf("buffers for everybody's newest %d, orders and their lines: of 100 orders %d and %d, of %d orders %d and %d; for one customer's %d and %d", limit, few.page, few.lines, *orders, many.page, many.lines, many.ofOnePage, many.ofOneLines)
	// An index of many is a page or two higher than one of few, and of few lines the server reads them all.
	assert.LessOrEqual(t, many.page, few.page+4, "orders of the first page, of %d orders", *orders)
	assert.LessOrEqual(t, many.lines, 5*limit, "lines of the first page, of %d orders: three or four pages of an index for each order, and one of the table", *orders)

	deep := *orders - 2*limit
	first, firstLines := read(order.Query{Limit: limit, After: behind(100)})
	last, lastLines := read(order.Query{Limit: limit, After: behind(deep)})
	t.Logf("buffers for the %d behind the 100th of %d orders %d and %d, behind the %dth %d and %d", limit, *orders, first, firstLines, deep, last, lastLines)
	assert.InDelta(t, first+firstLines, last+lastLines, 2+0.1*float64(first+firstLines), "buffers for a page behind the 100th and behind the %dth order", deep)
}

// witness notes how many buffers each statement reads.
type witness struct {
	*sqlx.DB
	buffers []int
}

func (w *witness) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	var text string
	if err := w.DB.GetContext(ctx, &text, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+query, args...); err != nil {
		return nil, err
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		return nil, err
	}
	w.buffers = append(w.buffers, plans[0].Plan.Hit+plans[0].Plan.Read)
	return w.DB.QueryxContext(ctx, query, args...)
}
