package ordering

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// leftover is what a call of Place has left open, and no order tells of.
//
// If back is not set, the order may be there, and may be paid: it is placed again,
// under the same ID, until that is known. If it is set, the order has failed, and
// undoing it has, too: its reservation is released, and owed, if not empty, refunded.
type leftover struct {
	r      order.Request
	lines  []order.Line // as they were priced, unless back is set
	totals order.Totals
	back   bool
	owed   string // a payment
}

// maxLeftovers bounds what is remembered: a thousand a minute, for ten minutes in which
// nothing works. What goes beyond is but logged.
const maxLeftovers = 10_000

// leftovers are those of this process, by the order's ID. The zero value is ready.
type leftovers struct {
	mu   sync.Mutex // guards what follows
	byID map[string]leftover
}

func (l *leftovers) get(id string) (leftover, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, there := l.byID[id]
	return one, there
}

// put keeps one in the place of what is kept of the same ID. It returns false if
// there is no room.
func (l *leftovers) put(one leftover) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]leftover{}
	}
	if _, there := l.byID[one.r.ID]; !there && len(l.byID) >= maxLeftovers {
		return false
	}
	l.byID[one.r.ID] = one
	return true
}

func (l *leftovers) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}

// all are those that there are, by ID. They are the caller's own.
func (l *leftovers) all() []leftover {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]leftover, 0, len(l.byID))
	for _, id := range slices.Sorted(maps.Keys(l.byID)) {
		all = append(all, l.byID[id])
	}
	return all
}

// keep remembers one, and logs it: memory is lost with the process, a log is not.
func (s *Service) keep(one leftover, err error) {
	what := "ordering: it is unknown whether an order was placed"
	if one.back {
		what = "ordering: an order that failed could not be undone"
	}
	s.c.Log.Warn(what, "order", one.r.ID, "payment", one.owed, "err", err)
	if !s.left.put(one) {
		s.c.Log.Error("ordering: too much is left open, this is not remembered", "order", one.r.ID, "payment", one.owed)
	}
}

// expired reports whether one must not be charged for again.
func (s *Service) expired(one leftover) bool { return s.c.Now().Sub(one.r.At) >= s.c.KeyLife }

// finishLeftovers goes on with each leftover. The error counts those that are still
// open.
func (s *Service) finishLeftovers(ctx context.Context) error {
	var open tally
	for _, one := range s.left.all() {
		open.add(s.finishLeftover(ctx, one.r.ID))
	}
	return open.err("left-over orders")
}

func (s *Service) finishLeftover(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, err := s.names.take(ctx, family(id))
	if err != nil {
		return err
	}
	defer done()
	one, open := s.left.get(id)
	switch {
	case !open:
		return nil // it was placed again meanwhile
	case one.back || s.expired(one):
		return s.undoLocked(ctx, one)
	}
	_, _, err = s.placeLocked(ctx, one.r)
	if _, open := s.left.get(id); !open {
		return nil // known by now, whatever it is
	}
	return err
}

// undoLocked releases and refunds what one has left, unless its order is there after
// all. It has the turn of the order's family. What is too old to ask about is
// released, and a human told.
func (s *Service) undoLocked(ctx context.Context, one leftover) error {
	id := one.r.ID
	switch o, err := s.c.Ports.Orders.Get(ctx, id); {
	case err == nil:
		s.left.forget(id)
		if !one.back && savedPaid(o) {
			s.confirm(o)
		}
		return nil
	case !errors.Is(err, order.ErrNotFound):
		return err
	}
	if !one.back {
		s.c.Log.Error("ordering: an order was given up: look for its payment at the provider", "order", id, "key", order.Order{ID: id}.Charge().Key)
	}
	// Released first: after that, no order of this ID comes about that would be paid by
	// what is refunded.
	if err := s.c.Ports.Stock.Release(ctx, id); err != nil {
		return fmt.Errorf("order %q: release: %w", id, err)
	}
	if one.owed != "" {
		if _, err := s.refund(ctx, id, one.owed); err != nil {
			return err
		}
	}
	s.left.forget(id)
	return nil
}

// takeBack pays back what c has collected, for an order that cannot come about any more.
// err says that this is open; if owed is empty, it is unknown whether there is a payment.
func (s *Service) takeBack(ctx context.Context, c order.Charge) (owed string, err error) {
	payment, err := s.c.Ports.Payments.Charge(ctx, c) // the same key: what became of it
	switch {
	case err == nil:
	case !errors.Is(err, order.ErrUnknown) && (errors.Is(err, order.ErrDeclined) || errors.Is(err, order.ErrInvalid)):
		return "", nil // nothing was collected, or it was paid back
	default:
		return "", err
	}
	if _, err := s.refund(ctx, c.Order, payment); err != nil {
		return payment, err
	}
	return "", nil
}

// refund pays back payment. back is false, without an error, if it never can be: then
// a human is told.
func (s *Service) refund(ctx context.Context, id, payment string) (back bool, err error) {
	err = s.c.Ports.Payments.Refund(ctx, payment)
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, order.ErrUnknown) && (errors.Is(err, order.ErrNotFound) || errors.Is(err, order.ErrInvalid)):
		s.setAside(id, "a payment cannot be refunded", "payment", payment, "err", err)
		return false, nil
	}
	return false, fmt.Errorf("order %q: refund %q: %w", id, payment, err)
}
