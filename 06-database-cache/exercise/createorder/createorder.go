// Package createorder keeps a new order, with its lines, in PostgreSQL: all of it
// or nothing.
//
// An order is one row, and each of its lines another. A process may die between
// two statements, and a rule may refuse the second. So all of them stand in one
// transaction: nobody sees any of it before COMMIT, and without a COMMIT, it never
// was. In the story: the chef writes the slip on the counter, and only when the
// last line is on it does he pin it to the rail.
//
//	BEGIN ─► insert the order ─► insert its lines ─► also ─► COMMIT ─► kept
//	            ▼                     ▼                ▼         ▼
//	         nothing               nothing          nothing   nobody knows
//
// COMMIT has a way out that the others have not: the connection may break after
// it was sent and before its answer came. Then nobody on this side knows whether
// the order is kept. The order's ID, which was chosen before, is the way back: the
// same order created again is either kept now, or was there already.
//
// Source: PostgreSQL's manual, "Transactions", "Constraints", and appendix A,
// "Error Codes".
package createorder

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"clicktocode.example/05-business-logic/order"
)

// Beginner begins transactions: a *sqlx.DB, or a *sqlx.Conn.
type Beginner interface {
	BeginTxx(ctx context.Context, opts *sql.TxOptions) (*sqlx.Tx, error)
}

// The statements. The lines of an order are one statement, however many they are:
// each is a trip to the server and back, and 50 of them hold the transaction, its
// connection and its locks for 50 trips. unnest makes rows of arrays, the nth of
// each array's nth value; pq.Array passes a slice as an array.
const (
	insertOrder = `
INSERT INTO orders (id, customer, state, currency, subtotal, discount, tax, total, method, payment, version, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

	insertLines = `
INSERT INTO order_lines (order_id, position, dish, name, quantity, unit, total)
SELECT $1, l.n, l.dish, l.name, l.quantity, l.unit, l.total
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) WITH ORDINALITY AS l (dish, name, quantity, unit, total, n)`
)

// Create keeps o, which is new, with its lines, or nothing of it. In the same
// transaction, after them, it calls also, with ctx and the transaction, one after
// the other, up to the first error: what they write with the transaction is kept if
// and only if o is. They must not end it.
//
// Its errors wrap those of package order:
//
//	ErrExists       o.ID is taken, whatever the rest of o. The other order stays.
//	ErrInvalid      o breaks a rule of the tables, see rules; or it has amounts of
//	                two currencies
//	ErrUnavailable  there is no connection, or it broke before COMMIT was sent
//	ErrUnknown      COMMIT was sent, and its answer did not come: o may be kept.
//	                Create it again: ErrExists says that it is.
//	also's own      as it is, if it is one of package order's or not a database's;
//	                otherwise one of the above
//
// After any of them but ErrUnknown, nothing is kept. After each, and also if also
// panics (the panic goes on), the transaction has ended and its connection is free.
//
// Create may be called by many goroutines at once. It ends with ctx, and then its
// error wraps ctx's. It does not change o.
func Create(ctx context.Context, db Beginner, o order.Order, also ...func(context.Context, *sqlx.Tx) error) error {
	// TODO(createorder): First oneCurrency. Then begin, and once its error is checked, defer a Rollback:
	// after a Commit it does nothing. Then, by tx.ExecContext (go doc sql.Tx),
	// insertOrder with orderRow(o), and insertLines with lineRows(o); and call also.
	// Each error up to there goes through failed, those of oneCurrency and also, too.
	// What Commit itself returns may be an ErrUnknown: ask Refused.
	// The reference imports, besides what stands above: "clicktocode.example/06-database-cache/pgfault", "errors".
	return nil
}

// Refused reports whether err, which Commit returned, is or wraps one that says for
// sure that nothing is kept:
//
//	*pq.Error                  the server said no
//	pq.ErrInFailedTransaction  the server rolled back instead: a statement had failed,
//	                           and somebody went on
//	sql.ErrTxDone              COMMIT was not sent: the transaction had ended
//	context.Canceled,          it was not sent: the context was done
//	context.DeadlineExceeded
//
// It is false for all else, such as a connection that broke.
func Refused(err error) bool {
	// TODO(createorder): errors.As for a *pq.Error; errors.Is for the other four.
	return false
}

// rule is how PostgreSQL names what was broken: by a code of its appendix A, and a
// constraint's name, which the schema has chosen.
type rule struct{ code, constraint string }

// rules are those that an order may break, and what each of them means. A code
// alone says too little: also may break a rule of another table, with the same one.
var rules = map[rule]error{
	{"23505", "orders_pkey"}:           order.ErrExists, // unique_violation
	{"23505", "order_lines_dish_once"}: &order.InvalidError{Field: "lines", What: "a dish comes twice"},
	{"23514", "order_lines_quantity"}:  &order.InvalidError{Field: "lines.quantity", What: fmt.Sprintf("is not from 1 to %d", order.MaxQuantity)}, // check_violation
	{"23514", "order_lines_unit"}:      &order.InvalidError{Field: "lines.unit", What: "is below 0"},
	{"23514", "order_lines_total"}:     &order.InvalidError{Field: "lines.total", What: "is not the unit's price times the quantity"},
	{"23514", "orders_totals"}:         &order.InvalidError{Field: "totals", What: "do not add up"},
	{"23514", "orders_id"}:             &order.InvalidError{Field: "id", What: "is empty"},
	{"23514", "orders_state"}:          &order.InvalidError{Field: "state", What: "is none"},
	{"23514", "orders_version"}:        &order.InvalidError{Field: "version", What: "is below 1"},
	{"23514", "orders_currency"}:       &order.InvalidError{Field: "totals", What: "have no currency"},
}

// domain returns err as one of package order's that wraps err, too: if it is, or
// wraps, a *pq.Error that names one of rules by code and constraint, that rule's.
// Otherwise it is what pgfault.Of says, which knows broken connections.
//
// It does not look at the text: that is in the server's language (lc_messages).
func domain(ctx context.Context, err error) error {
	// TODO(createorder): errors.As for a *pq.Error, then look up its Code and Constraint in rules. All
	// else: pgfault.Of.
	return err
}

// failed says of err at which step of which order it came about, and what it means.
func failed(ctx context.Context, o order.Order, step string, err error) error {
	return fmt.Errorf("createorder: order %q: %s: %w", o.ID, step, domain(ctx, err))
}

// oneCurrency returns an error if o has amounts of two currencies: the tables keep
// one for all of them.
func oneCurrency(o order.Order) error {
	amounts := []order.Money{o.Totals.Subtotal, o.Totals.Discount, o.Totals.Tax}
	for _, line := range o.Lines {
		amounts = append(amounts, line.Unit, line.Total)
	}
	for _, amount := range amounts {
		if amount.Currency != o.Totals.Total.Currency {
			return &order.InvalidError{Field: "totals", What: fmt.Sprintf("are of two currencies, %q and %q", o.Totals.Total.Currency, amount.Currency)}
		}
	}
	return nil
}

// orderRow are the arguments of insertOrder.
func orderRow(o order.Order) []any {
	return []any{
		o.ID, o.Customer, string(o.State), o.Totals.Total.Currency,
		o.Totals.Subtotal.Amount, o.Totals.Discount.Amount, o.Totals.Tax.Amount, o.Totals.Total.Amount,
		o.Method, o.Payment, o.Version, o.Created.UTC(), o.Updated.UTC(),
	}
}

// lineRows are the arguments of insertLines.
func lineRows(o order.Order) []any {
	n := len(o.Lines)
	dishes, names := make([]string, n), make([]string, n)
	quantities, units, totals := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, line := range o.Lines {
		dishes[i], names[i] = line.Dish, line.Name
		quantities[i], units[i], totals[i] = int64(line.Quantity), line.Unit.Amount, line.Total.Amount
	}
	return []any{o.ID, pq.Array(dishes), pq.Array(names), pq.Array(quantities), pq.Array(units), pq.Array(totals)}
}
