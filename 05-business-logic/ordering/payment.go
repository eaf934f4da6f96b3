package ordering

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/webhook"
)

// Payment is what the payment provider tells of a payment.
type Payment struct {
	ID     string // the payment's
	Order  string // the ID of the order that it was for
	Amount order.Money
	Paid   bool      // it was collected; false: it failed
	At     time.Time // when that was
}

// ParsePayment reads a Payment from an event that package webhook has verified. ours
// is false, and there is nothing to do, if it is about something else: of payments,
// those count that succeeded, failed or were canceled, and that were made for an order.
func ParsePayment(e webhook.Event) (p Payment, ours bool, err error) {
	switch e.Type {
	case "payment_intent.succeeded":
		p.Paid = true
	case "payment_intent.payment_failed", "payment_intent.canceled":
	default:
		return Payment{}, false, nil
	}
	var intent struct {
		ID       string `json:"id"`
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
		Metadata struct {
			Order string `json:"order"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(e.Object, &intent); err != nil {
		return Payment{}, false, fmt.Errorf("ordering: event %q: %w", e.ID, err)
	}
	if intent.ID == "" || intent.Metadata.Order == "" {
		return Payment{}, false, nil
	}
	p.ID, p.Order, p.At = intent.ID, intent.Metadata.Order, e.Created
	p.Amount = order.Money{Amount: intent.Amount, Currency: strings.ToUpper(intent.Currency)}
	return p, true, nil
}

// SettlePayment takes note of what the payment provider tells. It may be told twice,
// and late: what changes nothing is no error. After an error, it is to be told again.
//
// What becomes of an order that is Pending, is asked for, as Settle does. If it is too old
// for that, it is Paid, if p is, and p.Amount its total; if p failed, it is Cancelled. A payment that
// its order does not need (that was paid by another one, or is Cancelled) is refunded.
//
// An order that is Paid, and whose reservation was released, is cancelled: another
// replica was placing it too, and undid it. Nobody else would notice.
//
// order.ErrNotFound: there is no such order, which may be about to be saved. Since
// Orphan has passed, it is not: then its ID is used up, so that it cannot come about any
// more, and the payment is refunded. That is how a payment comes back whose process died
// before the order was saved.
func (s *Service) SettlePayment(ctx context.Context, p Payment) error {
	if err := s.settlePayment(ctx, p); err != nil {
		return fmt.Errorf("ordering: payment %q of order %q: %w", p.ID, p.Order, err)
	}
	return nil
}

func (s *Service) settlePayment(ctx context.Context, p Payment) error {
	done, err := s.names.take(ctx, family(p.Order)) // whoever places it has charged, and saves it in a moment
	if err != nil {
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	defer done()
	o, err := s.c.Ports.Orders.Get(ctx, p.Order)
	switch {
	case errors.Is(err, order.ErrNotFound) && p.Paid:
		return s.orphan(ctx, p)
	case errors.Is(err, order.ErrNotFound):
		return nil // nothing was collected, and there is nothing to cancel
	case err != nil:
		return err
	case p.Paid && o.State == order.Paid && o.Payment == p.ID:
		return s.holds(ctx, o)
	case p.Paid && o.State == order.Pending && s.c.Now().Sub(o.Created) < s.c.KeyLife:
		// What is told may be late: an attempt of this order that failed may have paid it
		// back since. The provider's own answer counts.
		if o, err = s.ask(ctx, o); err == nil && o.State != order.Pending && o.Payment != p.ID {
			_, err = s.collected(ctx, o, p.ID, p.Amount)
		}
	case p.Paid:
		_, err = s.collected(ctx, o, p.ID, p.Amount)
	case o.State != order.Pending:
		return nil
	case s.c.Now().Sub(o.Created) < s.c.KeyLife:
		_, err = s.ask(ctx, o)
	default:
		_, err = s.declined(ctx, o)
	}
	return err
}

// holds cancels o, which is Paid, if its dishes are not reserved any more.
func (s *Service) holds(ctx context.Context, o order.Order) error {
	items := make([]order.Item, len(o.Lines))
	for i, l := range o.Lines {
		items[i] = order.Item{Dish: l.Dish, Quantity: l.Quantity}
	}
	err := s.c.Ports.Stock.Reserve(ctx, o.ID, items) // does nothing, if all is well
	if !errors.Is(err, order.ErrConflict) {
		return err
	}
	s.c.Log.Error("ordering: an order was undone while it was placed, and is cancelled", "order", o.ID)
	_, err = s.Cancel(ctx, "", o.ID)
	if errors.Is(err, order.ErrState) { // too late: the kitchen was quicker
		s.setAside(o.ID, "it is cooked, and its dishes are not reserved")
		return nil
	}
	return err
}

// orphan refunds p, which was paid for an order that is not there, when its time has
// come.
func (s *Service) orphan(ctx context.Context, p Payment) error {
	if _, open := s.left.get(p.Order); open {
		return order.ErrNotFound // the loop knows more, and is at it
	}
	if age := s.c.Now().Sub(p.At); age < s.c.Orphan {
		return order.ErrNotFound
	}
	if err := s.c.Ports.Stock.Release(ctx, p.Order); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	s.c.Log.Error("ordering: a payment has no order, and is refunded", "order", p.Order, "payment", p.ID, "amount", p.Amount)
	_, err := s.refund(ctx, p.Order, p.ID)
	return err
}
