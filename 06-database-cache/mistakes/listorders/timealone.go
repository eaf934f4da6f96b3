//go:build ignore

// Its pages go on behind the cursor's time alone. Orders of the same moment that
// did not fit on the page before are on no page at all. It looks right until the
// evening on which two guests order at once.
//
//workshop:caught-by TestList/goes_on_within_one_moment
//workshop:says comes after the cursor if its ID is lower
package listorders

import (
	"fmt"
	"strings"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/record"
)

func page(q order.Query) (query string, args []any) {
	var where []string
	add := func(condition string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	if q.Customer != "" {
		add("customer = ?", q.Customer)
	}
	if q.State != "" {
		add("state = ?", string(q.State))
	}
	if q.After != (order.Cursor{}) {
		add("created < ?", q.After.Created)
	}
	query = `SELECT ` + record.OrderColumns + ` FROM orders`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, q.Limit)
	return query + fmt.Sprintf(` ORDER BY created DESC, id DESC LIMIT $%d`, len(args)), args
}
