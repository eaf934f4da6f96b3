package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"clicktocode.example/05-business-logic/order"
)

// Dishes implements order.Menu.
func (s *Store) Dishes(ctx context.Context) (dishes []order.Dish, err error) {
	err = s.with(ctx, "menu", func(conn *sqlx.Conn) error {
		var rows []struct {
			ID, Name, Currency string
			Price              int64
		}
		if err := conn.SelectContext(ctx, &rows, `SELECT id, name, price, currency FROM dishes ORDER BY position, id`); err != nil {
			return err
		}
		dishes = make([]order.Dish, len(rows))
		for i, r := range rows {
			dishes[i] = order.Dish{ID: r.ID, Name: r.Name, Price: order.Money{Amount: r.Price, Currency: r.Currency}}
		}
		return nil
	})
	return dishes, err
}

// Left implements order.Stock.
func (s *Store) Left(ctx context.Context) (left map[string]int, err error) {
	err = s.with(ctx, "left", func(conn *sqlx.Conn) error {
		var rows []struct {
			ID    string
			Stock int
		}
		if err := conn.SelectContext(ctx, &rows, `SELECT id, stock FROM dishes`); err != nil {
			return err
		}
		left = make(map[string]int, len(rows))
		for _, r := range rows {
			left[r.ID] = r.Stock
		}
		return nil
	})
	return left, err
}

// Release implements order.Stock. An order that is kept, and is order.Paid or further on,
// keeps its dishes: then the error is an order.ErrUnavailable, and nothing was done. So a
// replica whose own attempt has failed does not undo what another has saved meanwhile.
func (s *Store) Release(ctx context.Context, id string) error {
	return s.transaction(ctx, "release", func(tx *sqlx.Tx) error {
		// This waits for a Reserve of the same order that is under way, and for a Create.
		// What they have done, only a statement after it can see.
		if _, err := tx.ExecContext(ctx, markReleased, id); err != nil {
			return err
		}
		var states []order.State
		if err := tx.SelectContext(ctx, &states, `SELECT state FROM orders WHERE id = $1`, id); err != nil {
			return err
		}
		if len(states) > 0 && states[0] != order.Pending && states[0] != order.Cancelling && states[0] != order.Cancelled {
			return fmt.Errorf("order %q is kept, and %s: %w", id, states[0], order.ErrUnavailable)
		}
		_, err := tx.ExecContext(ctx, putBack, id)
		return err
	})
}

const (
	// From here on, no Reserve of this order takes anything.
	markReleased = `INSERT INTO reservations (order_id, released) VALUES ($1, true) ON CONFLICT (order_id) DO UPDATE SET released = true`

	// The dishes are locked in the order in which Reserve locks them: see package stock.
	putBack = `
WITH back AS (
	DELETE FROM reserved_items WHERE order_id = $1 RETURNING dish, quantity
), locked AS (
	SELECT id FROM dishes WHERE id IN (SELECT dish FROM back) ORDER BY id FOR UPDATE
)
UPDATE dishes SET stock = stock + back.quantity FROM locked JOIN back ON back.dish = locked.id WHERE dishes.id = locked.id`
)

// Seed puts dishes on the menu, in this order, and stock[ID] of each into the stock.
// A dish whose ID is there already stays as it is, with what is left of it: so each
// replica may call it when it starts.
func (s *Store) Seed(ctx context.Context, dishes []order.Dish, stock map[string]int) error {
	type place struct {
		order.Dish
		position int
	}
	places := make([]place, len(dishes))
	for i, d := range dishes {
		places[i] = place{d, i}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.ID, b.ID) }) // two replicas that insert crosswise wait for each other
	return s.transaction(ctx, "seed", func(tx *sqlx.Tx) error {
		for _, p := range places {
			_, err := tx.ExecContext(ctx, `INSERT INTO dishes (id, position, name, price, currency, stock) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
				p.ID, p.position, p.Name, p.Price.Amount, p.Price.Currency, stock[p.ID])
			if err != nil {
				return err
			}
		}
		return nil
	})
}
