package ordering

import (
	"context"
	"errors"
	"fmt"

	"clicktocode.example/05-business-logic/order"
)

// Cancel cancels the order id, and returns it as it is then. customer and ErrNotFound
// are as with Get.
//
// An order that is Paid is Cancelling first: from that moment, no kitchen begins it,
// and the loop finds it, whatever becomes of this call. Then it is refunded, and its
// stock released; when both are done, it is Cancelled. If one of them fails, or ctx
// ends, or an answer is lost, the order stays Cancelling, which is no error: the loop
// goes on, since both may be done twice.
//
// Of an order that is Pending, the payment provider is asked what became of the charge.
// If nobody knows still, it cannot be cancelled yet. In each other state, it cannot any
// more: both are an *order.StateError.
func (s *Service) Cancel(ctx context.Context, customer, id string) (order.Order, error) {
	o, err := s.change(ctx, id, customer, func(o order.Order) (order.Order, error) {
		switch o.State {
		case order.Cancelling:
			return o, nil
		case order.Pending:
			asked, err := s.ask(ctx, o)
			switch {
			case err != nil && !errors.Is(err, order.ErrUnknown):
				return order.Order{}, err
			case err != nil || asked.State == order.Pending:
				return order.Order{}, &order.StateError{From: order.Pending, To: order.Cancelling}
			case asked.State == order.Cancelled: // it was declined
				return asked, nil
			}
			o = asked
		}
		return s.step(ctx, o, order.Cancelling)
	})
	if err != nil || o.State == order.Cancelled {
		return o, err
	}
	done, err := s.finish(ctx, o)
	if err != nil {
		s.c.Log.Warn("ordering: an order is not cancelled yet", "err", err)
		return o, nil
	}
	return done, nil
}

// finish pays back and releases o, which is Cancelling, and then says so: whoever dies
// in between does both again, which does nothing. Of the two, one that fails does not
// keep the other from being done. What never can be refunded stays Cancelling, for a
// human.
func (s *Service) finish(ctx context.Context, o order.Order) (order.Order, error) {
	back, refund := s.refund(ctx, o.ID, o.Payment)
	release := s.c.Ports.Stock.Release(ctx, o.ID)
	if release != nil {
		release = fmt.Errorf("order %q: release: %w", o.ID, release)
	}
	if err := errors.Join(refund, release); err != nil || !back {
		return o, err
	}
	done, err := s.step(ctx, o, order.Cancelled)
	if errors.Is(err, order.ErrConflict) { // another was quicker
		return s.c.Ports.Orders.Get(ctx, o.ID)
	}
	return done, err
}
