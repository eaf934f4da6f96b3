package ordering

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"clicktocode.example/05-business-logic/order"
)

// run settles, again and again, until ctx is done.
func (s *Service) run(ctx context.Context) {
	wait := s.c.Interval
	for {
		// Replicas that were started together do not come together.
		t := time.NewTimer(wait - rand.N(wait/4+1))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		err := s.Settle(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(2*wait, 16*s.c.Interval)
			s.c.Log.Warn("ordering: not all is settled", "err", err, "again_in", wait)
		default:
			wait = s.c.Interval
		}
	}
}

// Settle goes on with all that is open: what this process has left, orders that are
// Pending, and those that are Cancelling, if they were not changed for an Interval. The
// loop calls it; it may be called at any time besides, also on several replicas at
// once. The error says how many could not be settled, and why the first of them.
//
// A Pending order's charge is asked for again, under the same key. If it succeeded,
// the order is Paid. If it was declined, its stock is released and it is Cancelled. An
// order that is older than KeyLife stays Pending, and so does one whose key stands for
// another charge: it is set aside for a human, which is logged as an error (once in a
// process), unless SettlePayment settles it.
func (s *Service) Settle(ctx context.Context) error {
	var open tally
	open.join(s.finishLeftovers(ctx))
	open.join(s.each(ctx, order.Pending, s.ask))
	open.join(s.each(ctx, order.Cancelling, s.finish))
	return open.all()
}

// page is how many orders Settle reads at once.
const page = 100

// each calls do for all orders in a state that were left alone for an Interval.
func (s *Service) each(ctx context.Context, state order.State, do func(context.Context, order.Order) (order.Order, error)) error {
	var open tally
	q := order.Query{State: state, Limit: page}
	for {
		orders, err := s.c.Ports.Orders.List(ctx, q)
		if err != nil {
			return fmt.Errorf("ordering: list what is %s: %w", state, err)
		}
		for _, o := range orders {
			if s.c.Now().Sub(o.Updated) < s.c.Interval {
				continue
			}
			ctx, cancel := context.WithTimeout(ctx, patience)
			_, err := do(ctx, o)
			cancel()
			if !errors.Is(err, order.ErrConflict) { // whoever changed it meanwhile is at it
				open.add(err)
			}
		}
		if len(orders) < page || ctx.Err() != nil {
			return open.err(string(state) + " orders")
		}
		last := orders[len(orders)-1]
		q.After = order.Cursor{Created: last.Created, ID: last.ID}
	}
}

// ask finds out what became of the charge of o, which is Pending, and returns it as it
// is then. If that is still unknown, the error says so. If it is too old to ask, or
// asking is no use, there is none, and it is Pending still.
func (s *Service) ask(ctx context.Context, o order.Order) (order.Order, error) {
	if age := s.c.Now().Sub(o.Created); age >= s.c.KeyLife {
		s.setAside(o.ID, "its charge is too old to be asked about", "age", age)
		return o, nil
	}
	payment, err := s.c.Ports.Payments.Charge(ctx, o.Charge())
	switch {
	case err == nil:
		return s.collected(ctx, o, payment, o.Totals.Total)
	case errors.Is(err, order.ErrUnknown):
	case errors.Is(err, order.ErrDeclined):
		return s.declined(ctx, o)
	case errors.Is(err, order.ErrConflict), errors.Is(err, order.ErrInvalid):
		s.setAside(o.ID, "its charge cannot be asked about", "err", err)
		return o, nil
	}
	return o, fmt.Errorf("order %q: %w", o.ID, err)
}

// declined cancels o, which is Pending, and of which nothing was collected.
func (s *Service) declined(ctx context.Context, o order.Order) (order.Order, error) {
	// Before the state: what is Cancelled is not looked at again.
	if err := s.c.Ports.Stock.Release(ctx, o.ID); err != nil {
		return o, fmt.Errorf("order %q: release: %w", o.ID, err)
	}
	return s.step(ctx, o, order.Cancelled)
}

// collected keeps that amount was collected for o, by payment. A payment that is not
// the order's, since that has another one, or needs none any more, is refunded.
func (s *Service) collected(ctx context.Context, o order.Order, payment string, amount order.Money) (order.Order, error) {
	for range rereads {
		switch {
		case o.State == order.Pending && amount != o.Totals.Total:
			s.setAside(o.ID, "another amount was collected", "payment", payment, "amount", amount, "total", o.Totals.Total)
			return o, nil
		case o.State == order.Pending:
			o.Payment = payment
			paid, err := s.step(ctx, o, order.Paid)
			if !errors.Is(err, order.ErrConflict) {
				return paid, err
			}
		case o.Payment == payment:
			return o, nil
		default:
			s.c.Log.Error("ordering: an order was paid that needed no payment, which is refunded", "order", o.ID, "state", o.State, "payment", payment)
			_, err := s.refund(ctx, o.ID, payment)
			return o, err
		}
		var err error
		if o, err = s.c.Ports.Orders.Get(ctx, o.ID); err != nil {
			return o, fmt.Errorf("order %q: %w", o.ID, err)
		}
	}
	return o, fmt.Errorf("order %q: %w", o.ID, order.ErrConflict)
}

// setAside tells a human of the order id, once.
func (s *Service) setAside(id, why string, args ...any) {
	s.mu.Lock()
	told := s.aside[id+why]
	if len(s.aside) >= maxLeftovers {
		clear(s.aside) // rather told twice
	}
	s.aside[id+why] = true
	s.mu.Unlock()
	if !told {
		s.c.Log.Error("ordering: an order needs a human: "+why, append([]any{"order", id}, args...)...)
	}
}

// tally counts what could not be settled. The zero value is ready.
type tally struct {
	n     int
	first error
	errs  []error
}

func (t *tally) add(err error) {
	if err != nil {
		t.n++
		if t.first == nil {
			t.first = err
		}
	}
}

func (t *tally) err(what string) error {
	if t.n == 0 {
		return nil
	}
	return fmt.Errorf("ordering: %d %s are not settled, the first: %w", t.n, what, t.first)
}

func (t *tally) join(err error) { t.errs = append(t.errs, err) }
func (t *tally) all() error     { return errors.Join(t.errs...) }
