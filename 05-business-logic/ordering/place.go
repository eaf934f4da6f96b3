package ordering

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/idempotency"
	"clicktocode.example/05-business-logic/solution/placeorder"
	"clicktocode.example/05-business-logic/solution/pricing"
)

// attempts is how many IDs one Idempotency-Key may use up.
const attempts = 16

// Place places the order that r asks for, by placeorder.Place. r.ID and r.At are not
// looked at. If nobody knows yet whether it has been paid, it is Pending.
//
// Its ID is idempotency.ID(ctx), so that the same key asks for the same order, on
// every replica and after each restart. Where there is none, it is a new random one.
// An order that failed and was undone has used up its ID: then it is "…-2", and so on
// up to "…-16". After that the error is order.ErrConflict.
//
// One at a time is placed under a key; the others wait, and find it. A key that was
// used for other dishes, or another method of payment, is an *order.InvalidError, and so
// is a method that has not 1 to order.MaxMethod characters: nobody is asked then.
//
// order.ErrUnknown: it may have been placed. Asking again with the same key goes on
// where it stood, at the price of then; and so does the loop by itself.
func (s *Service) Place(ctx context.Context, r order.Request) (order.Order, error) {
	if r.Customer == "" { // which would be everybody's
		return order.Order{}, fmt.Errorf("ordering: place: %w", &order.InvalidError{Field: "customer", What: "is empty"})
	}
	if n := utf8.RuneCountInString(r.Method); n < 1 || n > order.MaxMethod { // it is kept with each order, and sent with each charge
		return order.Order{}, fmt.Errorf("ordering: place: %w", &order.InvalidError{Field: "payment_method", What: fmt.Sprintf("must have 1 to %d characters, not %d", order.MaxMethod, n)})
	}
	name := idempotency.ID(ctx)
	if name == "" {
		name = strings.ToLower(rand.Text())
	}
	done, err := s.names.take(ctx, name)
	if err != nil {
		return order.Order{}, fmt.Errorf("ordering: order %q: wait for another: %w: %w", name, order.ErrUnavailable, err)
	}
	defer done()
	r.ID, r.At, r.Items = name, s.moment(), slices.Clone(r.Items)
	for n := 2; ; n++ {
		o, usedUp, err := s.placeLocked(ctx, r)
		if !usedUp || n > attempts {
			return o, err
		}
		r.ID = fmt.Sprintf("%s-%d", name, n)
	}
}

// placeLocked places r under the ID r.ID, whose family's turn the caller has. usedUp
// reports that an order of this ID was undone.
func (s *Service) placeLocked(ctx context.Context, r order.Request) (o order.Order, usedUp bool, err error) {
	t := &try{Service: s}
	before, open := s.left.get(r.ID)
	switch {
	case open && (before.back || s.expired(before)):
		if err := s.undoLocked(ctx, before); err != nil {
			return order.Order{}, false, fmt.Errorf("ordering: order %q: undo what was left of it: %w: %w", r.ID, order.ErrUnavailable, err)
		}
	case open && !(slices.Equal(before.r.Items, r.Items) && before.r.Method == r.Method):
		return order.Order{}, false, mismatch(r)
	case open: // at the price of then: under the same key, a new one would be refused
		t.doubt, t.lines, t.totals, r.At = true, before.lines, before.totals, before.r.At
	}
	o, err = placeorder.Place(ctx, t.ports(), t.price, r)
	switch {
	case err == nil:
		s.left.forget(r.ID)
		if !matches(o, r) {
			return order.Order{}, false, mismatch(r)
		}
		if savedPaid(o) && (t.created || t.doubt) {
			s.confirm(o)
		}
		return o, false, nil
	case t.doubt && t.usedUp && !t.charged: // released by another replica, which may know of no payment
		charge := order.Order{ID: r.ID, Totals: t.totals, Method: r.Method}.Charge()
		owed, err2 := s.takeBack(ctx, charge)
		switch {
		case owed != "":
			s.keep(leftover{r: r, back: true, owed: owed}, err2)
		case err2 != nil:
			s.keep(leftover{r: r, lines: t.lines, totals: t.totals}, err2)
			return order.Order{}, false, fmt.Errorf("ordering: order %q: pay back what it may have cost: %w: %w", r.ID, order.ErrUnknown, err2)
		default:
			s.left.forget(r.ID)
		}
	case t.owed != "" || t.held:
		s.keep(leftover{r: r, back: true, owed: t.owed}, err)
	case t.unknown(err):
		s.keep(leftover{r: r, lines: t.lines, totals: t.totals}, err)
		err = fmt.Errorf("%w: %w", order.ErrUnknown, err)
	default:
		s.left.forget(r.ID)
	}
	return order.Order{}, t.usedUp, err
}

// savedPaid reports whether o was Paid when it was saved: then whoever saved it sends the
// mail. One that was Pending first is a version ahead, and step has sent it. What is
// cancelled, nobody wants confirmed.
func savedPaid(o order.Order) bool {
	since := map[order.State]int{order.Paid: 1, order.Preparing: 2, order.Dispatched: 3, order.Delivered: 4}
	return o.Version == since[o.State]
}

// matches reports whether o is what r asks for.
func matches(o order.Order, r order.Request) bool {
	return o.Method == r.Method && slices.EqualFunc(o.Lines, r.Items, func(l order.Line, i order.Item) bool {
		return l.Dish == i.Dish && l.Quantity == i.Quantity
	})
}

func mismatch(r order.Request) error {
	return fmt.Errorf("ordering: order %q: %w", r.ID, &order.InvalidError{Field: "Idempotency-Key", What: "was used for another order"})
}

// try is one call of placeorder.Place: it stands between it and the ports, and sees
// what was done.
//
// If doubt is set, an earlier call with the same ID has ended in nobody knows what.
// Then a step that fails says nothing of the same one before, which may have collected,
// or whose order may come yet. Only a charge that was declined is known, and nothing
// else is undone.
type try struct {
	*Service
	doubt bool

	lines  []order.Line // as they were first priced
	totals order.Totals

	charged  bool   // a charge was asked for
	declined bool   // nothing was, nor will be
	usedUp   bool   // the ID's reservation was released before
	created  bool   // the order was saved by this call
	owed     string // is a payment that could not be refunded
	held     bool   // the reservation could not be released
}

// unknown reports whether the order may be there, or may be paid, with err.
func (t *try) unknown(err error) bool {
	known := t.usedUp || t.declined // and was undone
	return t.charged && errors.Is(err, order.ErrUnknown) || t.doubt && !known
}

func (t *try) ports() order.Ports {
	p := t.c.Ports
	return order.Ports{Menu: p.Menu, Stock: tryStock{p.Stock, t}, Payments: tryPayments{p.Payments, t}, Orders: tryOrders{p.Orders, t}}
}

func (t *try) price(items []order.Item, menu []order.Dish) (lines []order.Line, totals order.Totals, err error) {
	if !t.doubt {
		t.lines, t.totals, err = pricing.Price(items, menu, t.c.Discount, t.c.Tax)
	}
	return slices.Clone(t.lines), t.totals, err
}

type tryStock struct {
	order.Stock
	t *try
}

func (s tryStock) Reserve(ctx context.Context, id string, items []order.Item) error {
	err := s.Stock.Reserve(ctx, id, items)
	s.t.usedUp = errors.Is(err, order.ErrConflict)
	return err
}

func (s tryStock) Release(ctx context.Context, id string) error {
	if s.t.doubt && !s.t.declined && !s.t.usedUp {
		return nil // it may be paid
	}
	err := s.Stock.Release(ctx, id)
	s.t.held = err != nil
	return err
}

type tryPayments struct {
	order.Payments
	t *try
}

func (p tryPayments) Charge(ctx context.Context, c order.Charge) (string, error) {
	p.t.charged = true
	payment, err := p.Payments.Charge(ctx, c)
	switch {
	case err == nil:
	case errors.Is(err, order.ErrDeclined) && !errors.Is(err, order.ErrUnknown):
		// Or another replica has undone this order, and paid back what it cost: then it was
		// not the card, and what was reserved is released. (If not, Reserve does nothing.)
		p.t.usedUp = errors.Is(p.t.c.Ports.Stock.Reserve(ctx, c.Order, nil), order.ErrConflict)
		p.t.declined = true
	case p.t.doubt:
		err = fmt.Errorf("%w: %w", order.ErrUnknown, err) // "not sent" speaks of this call alone
	}
	return payment, err
}

var errHeld = errors.New("ordering: not refunded before its stock is released")

func (p tryPayments) Refund(ctx context.Context, payment string) error {
	err := errHeld // an order that still has its dishes may yet come about, and would count on this payment
	if !p.t.held {
		err = p.Payments.Refund(ctx, payment)
	}
	if err != nil {
		p.t.owed = payment
	}
	return err
}

type tryOrders struct {
	order.Orders
	t *try
}

func (o tryOrders) Create(ctx context.Context, n order.Order) error {
	err := o.Orders.Create(ctx, n)
	o.t.created = err == nil
	if errors.Is(err, order.ErrConflict) {
		o.t.usedUp = true // another replica has undone it meanwhile
		return err
	}
	if o.t.doubt && err != nil && !errors.Is(err, order.ErrExists) {
		err = fmt.Errorf("%w: %w", order.ErrUnknown, err) // "not kept" speaks of this call alone, too
	}
	return err
}
