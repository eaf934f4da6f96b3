//go:build ignore

// It counts how many orders come before the cursor, and has the server pass by so
// many (OFFSET). The server reads all of them, to throw them away: the hundredth
// page costs a hundred pages.
//
//workshop:caught-by TestList/a_late_page_reads_as_little_as_the_first
//workshop:says What it reads and drops is read each time, by OFFSET
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
	query = `SELECT ` + record.OrderColumns + ` FROM orders`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	query += ` ORDER BY created DESC, id DESC`
	if q.After != (order.Cursor{}) {
		add("(created, id) >= (?, ?)", q.After.Created, q.After.ID)
		query += ` OFFSET (SELECT count(*) FROM orders WHERE ` + strings.Join(where, ` AND `) + `)`
	}
	args = append(args, q.Limit)
	return query + fmt.Sprintf(` LIMIT $%d`, len(args)), args
}
