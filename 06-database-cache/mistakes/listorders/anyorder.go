//go:build ignore

// It reads the lines without an ORDER BY. They come as they stand in the table, which
// is their order until somebody changes one: then it goes behind the others.
//
//workshop:caught-by TestList/gives_each_order_its_own_lines
//workshop:says without ORDER BY
package listorders

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/record"
)

func List(ctx context.Context, db sqlx.QueryerContext, q order.Query) ([]order.Order, error) {
	if q.Limit < 1 {
		return nil, failed(ctx, &order.InvalidError{Field: "limit", What: "is below 1"})
	}
	query, args := page(q)
	var rows []record.Order
	if err := sqlx.SelectContext(ctx, db, &rows, query, args...); err != nil {
		return nil, failed(ctx, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	page, ids, place := make([]order.Order, len(rows)), make([]string, len(rows)), map[string]int{}
	for i, row := range rows {
		page[i], ids[i], place[row.ID] = row.Order(), row.ID, i
	}
	var lines []record.Line
	if err := sqlx.SelectContext(ctx, db, &lines, `SELECT `+record.LineColumns+` FROM order_lines WHERE order_id = ANY ($1::text[])`, pq.Array(ids)); err != nil {
		return nil, failed(ctx, err)
	}
	for _, line := range lines {
		o := &page[place[line.OrderID]]
		o.Lines = append(o.Lines, line.Line(o.Totals.Total.Currency))
	}
	return page, nil
}
