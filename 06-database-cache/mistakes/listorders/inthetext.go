//go:build ignore

// It writes the customer's name into the statement. One apostrophe in it, and the text
// ends there, and the rest is SQL: a name can ask for everybody's orders.
//
//workshop:caught-by TestList/takes_a_name_for_a_name
//workshop:says an apostrophe ends the text
package listorders

import (
	"fmt"
	"strings"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/record"
)

func page(q order.Query) (query string, args []any) {
	var where []string
	if q.Customer != "" {
		where = append(where, fmt.Sprintf("customer = '%s'", q.Customer))
	}
	if q.State != "" {
		args = append(args, string(q.State))
		where = append(where, fmt.Sprintf("state = $%d", len(args)))
	}
	if q.After != (order.Cursor{}) {
		args = append(args, q.After.Created, q.After.ID)
		where = append(where, fmt.Sprintf("(created, id) < ($%d, $%d)", len(args)-1, len(args)))
	}
	query = `SELECT ` + record.OrderColumns + ` FROM orders`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, q.Limit)
	return query + fmt.Sprintf(` ORDER BY created DESC, id DESC LIMIT $%d`, len(args)), args
}
