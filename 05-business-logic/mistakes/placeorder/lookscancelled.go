//go:build ignore

// It looks up who was quicker with the caller's context. Where the customer has
// left since the charge, that context is done: the order is kept and paid, and Place
// says that it was given up.
//
//workshop:caught-by TestQuicker/it_is_looked_up_though_the_client_left
//workshop:says the client's leaving changes nothing
package placeorder

import (
	"context"
	"errors"
	"fmt"

	"clicktocode.example/05-business-logic/order"
)

func Place(ctx context.Context, p order.Ports, price Pricer, r order.Request) (order.Order, error) {
	if o, err := existing(ctx, p, r); !errors.Is(err, order.ErrNotFound) {
		return o, err
	}
	menu, err := p.Menu.Dishes(ctx)
	if err != nil {
		return order.Order{}, failed(r, "menu", err)
	}
	lines, totals, err := price(r.Items, menu)
	if err != nil {
		return order.Order{}, failed(r, "price", err)
	}
	o := draft(r, lines, totals)
	if err := p.Stock.Reserve(ctx, o.ID, r.Items); err != nil {
		return order.Order{}, undo(ctx, p, o, failed(r, "reserve", err))
	}
	o.Payment, err = p.Payments.Charge(ctx, o.Charge())
	var lost error
	if nothingCollected(err) {
		return order.Order{}, undo(ctx, p, o, failed(r, "charge", err))
	} else if err != nil {
		o.State, o.Payment = order.Pending, ""
		lost = failed(r, "charge", fmt.Errorf("%w: %w", order.ErrUnknown, err))
	}
	err = detached(ctx, func(ctx context.Context) error { return p.Orders.Create(ctx, o) })
	switch {
	case err == nil:
		return o, nil
	case errors.Is(err, order.ErrExists):
		return quicker(ctx, p, r)
	case errors.Is(err, order.ErrUnknown), lost != nil:
		return order.Order{}, errors.Join(failed(r, "save", err), lost)
	}
	return order.Order{}, undo(ctx, p, o, failed(r, "save", err))
}
