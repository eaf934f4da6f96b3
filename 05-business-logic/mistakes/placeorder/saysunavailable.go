//go:build ignore

// It looks up who was quicker as it looked before it began. But by now the order is
// there, and the charge with it. That the look-up cannot be done, it passes on as it is:
// the customer reads that nothing was done, and orders a second dinner.
//
//workshop:caught-by TestQuicker/a_look_up_that_fails_says_not_that_nothing_was_done
//workshop:says has them ask again with the same ID
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
		err = detached(ctx, func(ctx context.Context) error { o, err = existing(ctx, p, r); return err })
		return o, err
	case errors.Is(err, order.ErrUnknown), lost != nil:
		return order.Order{}, errors.Join(failed(r, "save", err), lost)
	}
	return order.Order{}, undo(ctx, p, o, failed(r, "save", err))
}
