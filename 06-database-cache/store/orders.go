package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/record"
)

// Get implements order.Orders.
func (s *Store) Get(ctx context.Context, id string) (o order.Order, err error) {
	err = s.with(ctx, "get", func(conn *sqlx.Conn) error {
		var rows []row
		err := conn.SelectContext(ctx, &rows, `SELECT `+columns+`, o.state AS was FROM orders o `+joinLines+` WHERE o.id = $1 ORDER BY l.position`, id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("order %q: %w", id, order.ErrNotFound)
		}
		o = whole(rows)
		return nil
	})
	return o, err
}

// Update implements order.Orders.
func (s *Store) Update(ctx context.Context, o order.Order) (kept order.Order, err error) {
	err = s.transaction(ctx, "update", func(tx *sqlx.Tx) error {
		var rows []row
		if err := tx.SelectContext(ctx, &rows, update, o.ID, o.Version, string(o.State), o.Payment, o.Updated.UTC()); err != nil {
			return err
		}
		if len(rows) == 0 {
			return s.missed(ctx, tx, o)
		}
		kept = whole(rows)
		if s.config.Paid != nil && kept.State == order.Paid && rows[0].Was != string(order.Paid) {
			return s.config.Paid(ctx, tx, kept)
		}
		return nil
	})
	if err != nil {
		return order.Order{}, err
	}
	return kept, nil
}

// missed says why an Update has found nothing to change.
func (s *Store) missed(ctx context.Context, tx *sqlx.Tx, o order.Order) error {
	var versions []int
	if err := tx.SelectContext(ctx, &versions, `SELECT version FROM orders WHERE id = $1`, o.ID); err != nil {
		return err
	}
	if len(versions) == 0 {
		return fmt.Errorf("order %q: %w", o.ID, order.ErrNotFound)
	}
	return fmt.Errorf("order %q is at version %d, not %d: %w", o.ID, versions[0], o.Version, order.ErrConflict)
}

// row is a line with its order; of an order without lines, there is one row
// without a line.
type row struct {
	record.Order
	Was       string // the order's state before
	Dish      *string
	LineName  *string `db:"line_name"`
	Quantity  *int
	Unit      *int64
	LineTotal *int64 `db:"line_total"`
}

const (
	columns = `o.id, o.customer, o.state, o.currency, o.subtotal, o.discount, o.tax, o.total, o.method, o.payment, o.version, o.created, o.updated,
	l.dish, l.name AS line_name, l.quantity, l.unit, l.total AS line_total`
	joinLines = `LEFT JOIN order_lines l ON l.order_id = o.id`

	// The old row is locked first, and read as it then is. Of two updates at once, the
	// second finds another version, and changes nothing.
	update = `
WITH old AS (
	SELECT id, state FROM orders WHERE id = $1 FOR UPDATE
), o AS (
	UPDATE orders SET state = $3, payment = $4, updated = $5, version = orders.version + 1
	FROM old WHERE orders.id = old.id AND orders.version = $2
	RETURNING orders.*, old.state AS was
)
SELECT ` + columns + `, o.was FROM o ` + joinLines + ` ORDER BY l.position`
)

// whole is the order of rows, which are at least one.
func whole(rows []row) order.Order {
	o := rows[0].Order.Order()
	for _, r := range rows {
		if r.Dish != nil {
			o.Lines = append(o.Lines, record.Line{Dish: *r.Dish, Name: *r.LineName, Quantity: *r.Quantity, Unit: *r.Unit, Total: *r.LineTotal}.Line(r.Currency))
		}
	}
	return o
}
