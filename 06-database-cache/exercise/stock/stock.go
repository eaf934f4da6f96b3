// Package stock takes dishes out of the stock for an order, so that nothing is
// sold twice, however many buyers there are at once.
//
// Two transactions that run at the same time both read "1 left", and both take it:
// the rule was checked, and is broken. In the story: two chefs look at the shelf,
// see one egg, and each promises it to a guest. So whoever wants to change a row
// locks it when he reads it, and the next one waits until he has committed.
//
//	one     BEGIN ─ lock ramen, 1 left ─ take it ─ COMMIT
//	another    BEGIN ─ lock ramen … waits … ──────────┴─ 0 left: sold out
//
// Locks bring a trouble of their own. One order has ramen and waits for tea,
// another has tea and waits for ramen: a deadlock. Who takes locks in one order,
// the same for all, has none. And where the server must still break up two
// transactions, it rolls one of them back, and says so by a code that means: once
// more, please.
//
// The trade-off: all who buy a dish queue at its row. That is right for a few
// hundred sales a second of one dish; beyond it, stock is split over several rows.
//
// Source: PostgreSQL's manual, "Concurrency Control": explicit locking (13.3),
// transaction isolation (13.2), serialization failure handling (13.5).
package stock

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
	"clicktocode.example/06-database-cache/solution/createorder"
)

// Attempts is how often a transaction is tried that the server rolls back.
const Attempts = 20

// Reserve takes items out of the stock for the order of that ID, all of them or
// none, in one transaction at the isolation level level: sql.LevelReadCommitted,
// sql.LevelRepeatableRead or sql.LevelSerializable; sql.LevelDefault is the
// database's. It is what Reserve of order.Stock says:
//
//	*SoldOutError   the first of items that there is not enough of, and how many there
//	                are; of a dish that nobody knows there are 0. Nothing is taken.
//	nil             they are taken, or were taken for this order before, whatever
//	                items was then
//	ErrConflict     the order was released. Nothing is taken.
//	ErrInvalid      a quantity is below 1. Nothing is taken.
//	ErrUnavailable  there is no connection, or all attempts were rolled back. Nothing
//	                is taken.
//	ErrUnknown      COMMIT was sent, and its answer did not come
//
// A transaction that the server rolls back because of others (see again) is tried
// once more, after a pause, see pause: up to Attempts in all. Any other error ends
// it at once. It ends with ctx, in a pause, too, and then its error wraps ctx's.
//
// Reserve may be called by many goroutines at once.
func Reserve(ctx context.Context, db createorder.Beginner, level sql.IsolationLevel, id string, items []order.Item) error {
	// TODO(stock): Try once, and as long as its error says again, once more, after a pause: up
	// to Attempts. Give the last error to failed.
	// The reference imports, besides what stands above: "errors".
	return nil
}

// again reports whether err says that the server has rolled the transaction back
// because of others, so that the same one may succeed next time: by the code 40001
// (serialization_failure) or 40P01 (deadlock_detected). It may come from any
// statement, COMMIT included.
func again(err error) bool {
	// TODO(stock): errors.As for a *pq.Error, and its Code.
	return false
}

// take takes items out of the stock in tx, for the order of that ID. It first
// locks the rows of all its dishes, in one order that does not depend on items, and
// reads how many there are. If there is not enough of one, it returns a
// *order.SoldOutError of the first in items, and has changed nothing.
//
// Of a dish that comes in several items, their sum is needed. items may be empty.
func take(ctx context.Context, tx *sqlx.Tx, id string, items []order.Item) error {
	// TODO(stock): SELECT the dishes' id and stock, ORDER BY id, FOR UPDATE (columns gives you
	// their IDs). Compare. Then takeItems, whose arguments are id and the columns.
	return nil
}

// takeItems notes what the order ($1) takes, so that it can be put back, and takes
// it: of each dish in $2 the quantity in $3.
const takeItems = `
WITH taken AS (
	INSERT INTO reserved_items (order_id, dish, quantity)
	SELECT $1, item.dish, sum(item.quantity) FROM unnest($2::text[], $3::bigint[]) AS item (dish, quantity) GROUP BY item.dish
	RETURNING dish, quantity
)
UPDATE dishes SET stock = stock - taken.quantity FROM taken WHERE dishes.id = taken.dish`

// columns are the dishes of items and their quantities, as arguments of a statement.
func columns(items []order.Item) (dishes, quantities any) {
	d, q := make([]string, len(items)), make([]int64, len(items))
	for i, item := range items {
		d[i], q[i] = item.Dish, int64(item.Quantity)
	}
	return pq.Array(d), pq.Array(q)
}

// once is one attempt: a transaction that claims the order's reservation, and takes.
func once(ctx context.Context, db createorder.Beginner, level sql.IsolationLevel, id string, items []order.Item) error {
	for i, item := range items {
		if item.Quantity < 1 { // would add to the stock
			return &order.InvalidError{Field: fmt.Sprintf("lines[%d].quantity", i), What: fmt.Sprintf("%d is below 1", item.Quantity)}
		}
	}
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if mine, err := claim(ctx, tx, id); err != nil || !mine {
		return err
	}
	if err := take(ctx, tx, id, items); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil && !createorder.Refused(err) {
		return fmt.Errorf("%w: %w", order.ErrUnknown, err)
	} else if err != nil {
		return err
	}
	return nil
}

// claim makes the order's reservation, and reports whether it did: if there is one
// already, nothing is left to do. It waits for others who are making or releasing
// it. The error is ErrConflict if the order was released.
func claim(ctx context.Context, tx *sqlx.Tx, id string) (mine bool, err error) {
	result, err := tx.ExecContext(ctx, `INSERT INTO reservations (order_id) VALUES ($1) ON CONFLICT (order_id) DO NOTHING`, id)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return n == 1, err
	}
	var released bool
	if err := tx.GetContext(ctx, &released, `SELECT released FROM reservations WHERE order_id = $1`, id); err != nil {
		return false, err
	}
	if released {
		return false, fmt.Errorf("it was released: %w", order.ErrConflict)
	}
	return false, nil
}

// pause waits before the attempt of that number, from 1 on: at random, up to a
// time that doubles with each attempt to 16 ms. Without chance, two transactions
// that met once would come back at the same moment, and meet again. The error is
// ctx's, if that is done first.
func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(rand.N(time.Millisecond << min(attempt, 4)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failed says of err at which order it came about, and what it means. It is nil if
// err is.
func failed(ctx context.Context, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("stock: order %q: reserve: %w", id, pgfault.Of(ctx, err))
}
