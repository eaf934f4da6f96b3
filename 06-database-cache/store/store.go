// Package store keeps the menu, the stock and the orders in PostgreSQL. It puts the
// parts together: createorder, listorders, stock and dbpool, on the tables of
// package schema; and it passes ordertest, as memory does.
//
// In the story, this is the pantry. Each call takes a connection out of the pool,
// in time or not at all, does its work, and gives it back:
//
//	Dishes, Left    one statement
//	Get             one statement
//	List            two, whatever the page's size
//	Create          BEGIN, the order, its lines, look at its reservation, COMMIT
//	Update          BEGIN, one statement, COMMIT
//	Reserve         BEGIN, claim, lock, take, COMMIT; again if the server asks for it
//	Release         BEGIN, mark, look for the order, put back, COMMIT
//
// Nothing of PostgreSQL goes out: errors are package order's, see pgfault, and what
// is wrapped in them is for the log.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
	"clicktocode.example/06-database-cache/solution/createorder"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/solution/listorders"
	"clicktocode.example/06-database-cache/solution/stock"
)

// Config is how a store works. The zero value is fine.
type Config struct {
	// Wait is how long a call waits for a connection of the pool, until it is an
	// order.ErrUnavailable. 0 means 1 s; it must not be negative.
	Wait time.Duration
	// Level is the isolation level of Reserve. sql.LevelDefault, the zero value,
	// means sql.LevelReadCommitted, whatever the database's default is: the rows that
	// count are locked. sql.LevelRepeatableRead and sql.LevelSerializable are right,
	// too, and try more often.
	Level sql.IsolationLevel
	// Paid, if it is not nil, is called in the transaction in which an order becomes
	// order.Paid, by Create or Update, with the order as it will be kept: what it
	// writes with tx is kept if and only if the order is. It must not end tx. Its error
	// undoes all of it, and is the call's. It may be called again for one order when
	// the connection breaks before COMMIT, and by many goroutines at once.
	Paid func(ctx context.Context, tx *sqlx.Tx, o order.Order) error
}

// Store is an order.Menu, an order.Stock and an order.Orders. Make it with New. Its
// methods may be called by many goroutines at once. It holds nothing that has to be
// closed.
type Store struct {
	db     *sqlx.DB
	config Config // without zeros
}

var (
	_ order.Menu   = (*Store)(nil)
	_ order.Stock  = (*Store)(nil)
	_ order.Orders = (*Store)(nil)
)

// New returns a store on db, which stays the caller's to close, and has the schema
// of package schema: see schema.Migrate. err names all faults of c at once.
func New(db *sqlx.DB, c Config) (*Store, error) {
	var faults []error
	if c.Wait < 0 {
		faults = append(faults, fmt.Errorf("store: Wait is %s, must not be negative", c.Wait))
	}
	switch c.Level {
	case sql.LevelDefault:
		c.Level = sql.LevelReadCommitted
	case sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable:
	default:
		faults = append(faults, fmt.Errorf("store: Level is %s, must be Read Committed, Repeatable Read or Serializable", c.Level))
	}
	if c.Wait == 0 {
		c.Wait = time.Second
	}
	return &Store{db: db, config: c}, errors.Join(faults...)
}

// Create implements order.Orders: see createorder.Create. If what was reserved for the
// order was released, the error is an order.ErrConflict: another replica has placed the
// same order, failed, and undone it. Release sees to the rest of it.
func (s *Store) Create(ctx context.Context, o order.Order) error {
	also := []func(context.Context, *sqlx.Tx) error{func(ctx context.Context, tx *sqlx.Tx) error { return held(ctx, tx, o.ID) }}
	if s.config.Paid != nil && o.State == order.Paid {
		also = append(also, func(ctx context.Context, tx *sqlx.Tx) error { return s.config.Paid(ctx, tx, o) })
	}
	return s.with(ctx, "create", func(conn *sqlx.Conn) error { return createorder.Create(ctx, conn, o, also...) })
}

// held returns an order.ErrConflict if the reservation of the order was released. If it
// was not, a Release waits for the end of tx.
func held(ctx context.Context, tx *sqlx.Tx, id string) error {
	var released []bool // none: nothing was reserved
	if err := tx.SelectContext(ctx, &released, `SELECT released FROM reservations WHERE order_id = $1 FOR SHARE`, id); err != nil {
		return err
	}
	if len(released) > 0 && released[0] {
		return fmt.Errorf("what was reserved for it was released: %w", order.ErrConflict)
	}
	return nil
}

// List implements order.Orders: see listorders.List.
func (s *Store) List(ctx context.Context, q order.Query) (page []order.Order, err error) {
	err = s.with(ctx, "list", func(conn *sqlx.Conn) (err error) {
		page, err = listorders.List(ctx, conn, q)
		return err
	})
	return page, err
}

// Reserve implements order.Stock: see stock.Reserve.
func (s *Store) Reserve(ctx context.Context, id string, items []order.Item) error {
	return s.with(ctx, "reserve", func(conn *sqlx.Conn) error { return stock.Reserve(ctx, conn, s.config.Level, id, items) })
}

// with calls f with a connection of the pool, and says of its error what it means.
//
// A connection may have died while it was idle, and all others with it, as when the
// server was restarted; who uses it first finds out. If so, and if nothing was done,
// which order.ErrUnavailable says, f is called again, with another one.
func (s *Store) with(ctx context.Context, call string, f func(*sqlx.Conn) error) error {
	var err error
	for range max(s.db.Stats().MaxOpenConnections, 2) + 1 { // each dead one is out of the pool then, and the last one is new
		var again bool
		if again, err = s.connected(ctx, f); !again {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", call, err)
	}
	return nil
}

// connected calls f once, and reports whether it may be called again.
func (s *Store) connected(ctx context.Context, f func(*sqlx.Conn) error) (again bool, err error) {
	conn, err := dbpool.Acquire(ctx, s.db, s.config.Wait)
	if err != nil {
		return false, fmt.Errorf("%w: %w", order.ErrUnavailable, err) // whatever it is: nothing was sent
	}
	defer conn.Close()
	if err = pgfault.Of(ctx, f(conn)); err == nil || ctx.Err() != nil {
		return false, err
	}
	var broken *net.OpError // what the driver makes of a connection that was reset; and it knows of more
	dead := errors.As(err, &broken) || conn.Raw(func(c any) error {
		if v, ok := c.(driver.Validator); ok && !v.IsValid() {
			return driver.ErrBadConn
		}
		return nil
	}) != nil
	return dead && errors.Is(err, order.ErrUnavailable) && !errors.Is(err, order.ErrUnknown), err
}

// transaction calls f in a transaction, and commits what it did. After an error that
// is not order.ErrUnknown, nothing was done.
func (s *Store) transaction(ctx context.Context, call string, f func(*sqlx.Tx) error) error {
	return s.with(ctx, call, func(conn *sqlx.Conn) error {
		tx, err := conn.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := f(tx); err != nil {
			return pgfault.Of(ctx, err)
		}
		if err := tx.Commit(); err != nil && !createorder.Refused(err) {
			return fmt.Errorf("%w: %w", order.ErrUnknown, err)
		} else if err != nil {
			return err
		}
		return nil
	})
}
