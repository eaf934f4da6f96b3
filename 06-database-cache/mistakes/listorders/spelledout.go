//go:build ignore

// It spells out what "behind the cursor" means: older, or of the same moment with a
// lower ID. That is right, and the server cannot begin to read there: an OR of two
// conditions is no place in an index. So it reads from the newest order on, and drops
// what does not fit. Compare rows instead.
//
//workshop:caught-by TestList/a_late_page_reads_as_little_as_the_first
//workshop:says as by a condition that no index can begin with (OR)
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
		add("(created < ? OR (created = ? AND id < ?))", q.After.Created, q.After.Created, q.After.ID)
	}
	query = `SELECT ` + record.OrderColumns + ` FROM orders`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, q.Limit)
	return query + fmt.Sprintf(` ORDER BY created DESC, id DESC LIMIT $%d`, len(args)), args
}
