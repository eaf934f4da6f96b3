//go:build ignore

// It reads the page, and then the lines of each order by a statement of their own.
// A page of 50 is 51 trips to the server and back (N+1). One statement can ask for
// the lines of all of them.
//
//workshop:caught-by TestList/makes_one_page_of_two_statements
//workshop:says is a trip to the server for each (N+1)
package listorders

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/record"
)

func List(ctx context.Context, db sqlx.QueryerContext, q order.Query) ([]order.Order, error) {
	if q.Limit < 1 {
		return nil, failed(ctx, &order.InvalidError{Field: "limit", What: fmt.Sprintf("%d is below 1", q.Limit)})
	}
	query, args := page(q)
	var rows []record.Order
	if err := sqlx.SelectContext(ctx, db, &rows, query, args...); err != nil {
		return nil, failed(ctx, err)
	}
	var page []order.Order
	for _, row := range rows {
		o := row.Order()
		var lines []record.Line
		if err := sqlx.SelectContext(ctx, db, &lines, `SELECT `+record.LineColumns+` FROM order_lines WHERE order_id = $1 ORDER BY position`, o.ID); err != nil {
			return nil, failed(ctx, err)
		}
		for _, line := range lines {
			o.Lines = append(o.Lines, line.Line(row.Currency))
		}
		page = append(page, o)
	}
	return page, nil
}
