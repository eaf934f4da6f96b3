//go:build ignore

// It tries until it succeeds. A fault that does not go away keeps a goroutine and a
// connection busy for as long as the customer waits, and many of them are the load
// that keeps the fault from going away.
//
//workshop:caught-by TestReserve/gives_up_in_the_end
//workshop:says It must give up by itself, after Attempts
package stock

import (
	"context"
	"database/sql"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/solution/createorder"
)

func Reserve(ctx context.Context, db createorder.Beginner, level sql.IsolationLevel, id string, items []order.Item) error {
	err := once(ctx, db, level, id, items)
	for attempt := 1; again(err); attempt++ {
		if err := pause(ctx, attempt); err != nil {
			return failed(ctx, id, err)
		}
		err = once(ctx, db, level, id, items)
	}
	return failed(ctx, id, err)
}
