// Package listorders reads a page of orders with their lines, newest first, at the
// same cost whether it is the first page of a hundred orders or the last of a
// million.
//
// Two habits make a list slow. One asks for the page, and then for each order's
// lines: a page of 50 is 51 trips to the server (N+1). The other asks for "20
// orders from the 10,000th on" (OFFSET), and the server reads 10,000 to throw them
// away. In the story: the chef's book has a ribbon. He opens it there, reads one
// page down, and puts the ribbon where he stopped; he does not count from page one.
//
//	(created, id)   … 19:04 d │ 19:03 c │ 19:03 b │ 19:01 a …      an index, sorted
//	                          └ after: the next page begins behind it
//
// The trade-off of a page behind a key: there is no "page 7", only "the next one".
//
// Source: PostgreSQL's manual, "Row and Array Comparisons" (9.24.5), "Indexes and
// ORDER BY" (11.4); M. Winand, "Use the Index, Luke", "Paging Through Results".
package listorders

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

// List returns the page of orders that q asks for, as List of order.Orders does:
// newest first, by Created, and those of one moment by ID, both downwards; each
// with its lines in their order, and its times in UTC. The page is empty behind the
// last order. What it returns is the caller's own.
//
// It sends at most two statements, whatever the size of the page. They need no
// transaction: the lines of an order never change.
//
// Its errors wrap those of package order: ErrInvalid if q.Limit is below 1, and
// ErrUnavailable if there is no connection, or if ctx is done, and then ctx's, too.
// db is a *sqlx.DB, *sqlx.Conn or *sqlx.Tx. List may be called by as many goroutines
// at once as db may.
func List(ctx context.Context, db sqlx.QueryerContext, q order.Query) ([]order.Order, error) {
	if q.Limit < 1 {
		return nil, failed(ctx, &order.InvalidError{Field: "limit", What: fmt.Sprintf("%d is below 1", q.Limit)})
	}
	// TODO(listorders): sqlx.SelectContext reads page(q) into a []record.Order. A second one reads the
	// lines of all these orders at once, WHERE order_id = ANY ($1::text[]), with
	// pq.Array of the IDs, into a []record.Line. Put each with its order.
	// The reference imports, besides what stands above: "clicktocode.example/06-database-cache/record", "github.com/lib/pq", "strings".
	return nil, nil
}

// page is the statement that reads the orders of q's page, without their lines, and
// its arguments. It names only the conditions that q has: one for "any customer, or
// this one" fits no index.
//
// The page begins behind q.After, by comparing rows: (created, id) < ($1, $2), as
// one compares words, the second letter only where the first is the same. The
// indexes are sorted by just these two, downwards, so that the server begins to
// read at that place.
func page(q order.Query) (query string, args []any) {
	// TODO(listorders): SELECT record.OrderColumns FROM orders, WHERE what q asks for, if anything,
	// ORDER BY created and id, LIMIT.
	return "", nil
}

// failed says what err means.
func failed(ctx context.Context, err error) error {
	return fmt.Errorf("listorders: %w", pgfault.Of(ctx, err))
}
