// Package placeorder places an order: it prices it, takes its dishes out of the
// stock, charges the customer, and saves it.
//
// Stock, money and orders are kept by three different parties, and no transaction
// spans them. So each step may fail after the one before has been done, and what
// was done must be undone, by a step of its own: such a chain of steps and their
// compensations is called a saga. In the story: the chef takes the ingredients
// from the shelf, and sends the waiter for the money. If he comes back without,
// the ingredients go back on the shelf.
//
//	price ─► reserve ─► charge ─► save ─► done
//	  ▼         ▼          │        │
//	 fail    release ◄─────┴ refund ┘
//
// The third way out of a step is the hard one: its answer was lost. What may have
// been done is neither done nor undone here, it is asked about later, under the
// same key.
//
// The trade-off: a process that dies between two steps undoes nothing. What it
// leaves is found when the same order is placed again, and not before; chapter 6
// has the database, and chapter 7 the worker, that remember what was begun.
//
// Source: H. Garcia-Molina and K. Salem, "Sagas" (1987); B. Leach, "Implementing
// Stripe-like Idempotency Keys in Postgres" (2017).
package placeorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"clicktocode.example/05-business-logic/order"
)

// Patience is how long each call may take that is made whether the caller is
// still there or not.
const Patience = 10 * time.Second

// Pricer says what items cost, as pricing.Price does with the restaurant's
// discount and tax. Its faults are *order.InvalidError.
type Pricer = func(items []order.Item, menu []order.Dish) ([]order.Line, order.Totals, error)

// Place places the order that r asks for, and returns it as it was saved: with
// the ID r.ID, Version 1, and Created and Updated r.At, in UTC and cut to the
// microsecond. Its errors wrap those of package order.
//
// Price, reserve, charge, save: in this order, so that what is hard to take back
// comes late. Nothing is reserved of what has no price, nobody is charged for
// what is sold out, and nothing is saved that nobody has paid for. Its State is:
//
//	charge                        the order
//	succeeds                      Paid, with its Payment
//	ErrDeclined, ErrUnavailable,  none: nothing was collected
//	ErrInvalid
//	ErrUnknown, or another error  Pending: it may have been collected
//
// A step that fails ends it, and what was done before is undone: the payment is
// refunded, and the reservation released. A Reserve that failed is released, too,
// since it may have been done: only ErrSoldOut and ErrConflict say for sure that
// nothing is reserved, and to release then is not needed, and does no harm. A step of
// the undoing that fails does not keep the others from being done. Its error is joined
// to the one that began it.
//
// Up to the charge, ctx may end it all. From then on, the caller's leaving changes
// nothing: saving, looking up who was quicker (Create: ErrExists), and undoing are
// done with ctx's values, and without its end, and each call has a deadline of its
// own instead, in Patience.
//
// Whatever is unknown stays as it is: nothing is refunded, and nothing released.
// That is the order that is Pending. It is also a save whose outcome is unknown,
// and one that failed when the charge's was, and an order that another call has saved
// and that cannot be looked up: then Place returns an ErrUnknown.
//
// Asking again with the same ID is the same order. If it is there, Place returns
// it as it stands and does nothing else; if it belongs to another customer, the
// error is ErrExists. If the outcome was unknown, Place goes on where it stood,
// since no step is done twice. (If its price has changed by then, Charge refuses
// the key by ErrConflict, and the order is Pending, for a human to settle.) If it
// failed and was undone, its ID is used up: the error is ErrConflict, by Reserve.
//
// Place may be called by many goroutines at once. Those that ask for one ID at
// once get the same order if it can be placed: whoever finds at the save that
// another was quicker returns that one's, as it is kept, whatever became of its own
// charge, which is the same one. Where it might fail, let one run at
// a time, as package idempotency does: what one of them undoes is the other's, too.
func Place(ctx context.Context, p order.Ports, price Pricer, r order.Request) (order.Order, error) {
	//workshop:begin return order.Order{}, nil
	//workshop:todo If the order is there already (see existing), that is it. If not (errors.Is, since
	//workshop:todo errors come wrapped): ask for the menu, price, make the draft, reserve, charge
	//workshop:todo o.Charge(), and save, detached. When a step fails, undo what was done before it. If
	//workshop:todo another call has saved the order first, return that one: see quicker.
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
		return order.Order{}, undo(ctx, p, o, failed(r, "reserve", err)) // it may have been done, and its answer lost
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
	case errors.Is(err, order.ErrExists): // another call was quicker: its charge had this one's key, and is the same
		err = detached(ctx, func(ctx context.Context) error { o, err = quicker(ctx, p, r); return err })
		return o, err
	case errors.Is(err, order.ErrUnknown), lost != nil: // undone here, it would be an order in the books that nobody paid for
		return order.Order{}, errors.Join(failed(r, "save", err), lost)
	}
	return order.Order{}, undo(ctx, p, o, failed(r, "save", err))
	//workshop:end
}

// nothingCollected reports whether err, which Charge returned, says for sure that
// no money has moved.
func nothingCollected(err error) bool {
	//workshop:begin return false
	//workshop:todo ErrDeclined, ErrUnavailable and ErrInvalid say so, unless err is also an
	//workshop:todo ErrUnknown: of two attempts, the first one's answer may have been lost.
	if errors.Is(err, order.ErrUnknown) {
		return false
	}
	return errors.Is(err, order.ErrDeclined) || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrInvalid)
	//workshop:end
}

// undo pays back what o.Payment collected, if it is not empty, and releases what
// was reserved for o. It does both, whatever becomes of either, and returns cause,
// joined with the error of each that failed.
func undo(ctx context.Context, p order.Ports, o order.Order, cause error) error {
	//workshop:begin return cause
	//workshop:todo Release, then Refund, each of them detached. errors.Join leaves out what is nil.
	// Released first: should this process die in between, no order of this ID comes about
	// that would count on what is about to be paid back.
	release := detached(ctx, func(ctx context.Context) error { return p.Stock.Release(ctx, o.ID) })
	if release != nil {
		release = fmt.Errorf("placeorder: order %q: stock is not released: %w", o.ID, release)
	}
	var refund error
	if o.Payment != "" {
		if refund = detached(ctx, func(ctx context.Context) error { return p.Payments.Refund(ctx, o.Payment) }); refund != nil {
			refund = fmt.Errorf("placeorder: order %q: payment %q of %v is not refunded: %w", o.ID, o.Payment, o.Totals.Total, refund)
		}
	}
	return errors.Join(cause, refund, release)
	//workshop:end
}

// detached makes a call that is made also when ctx is done: with a context that
// has ctx's values (trace and request ID), not its end, and ends in Patience.
func detached(ctx context.Context, call func(context.Context) error) error {
	//workshop:begin return call(ctx)
	//workshop:todo context.WithoutCancel, and then context.WithTimeout.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel() // otherwise its timer stays for all of Patience
	return call(ctx)
	//workshop:end
}

// existing returns the order that is kept under r.ID. The error is ErrNotFound if
// there is none, and ErrExists if it is another customer's.
func existing(ctx context.Context, p order.Ports, r order.Request) (order.Order, error) {
	o, err := p.Orders.Get(ctx, r.ID)
	if err == nil && o.Customer != r.Customer {
		err = order.ErrExists
	}
	if err != nil {
		return order.Order{}, failed(r, "look for it", err)
	}
	return o, nil
}

// quicker returns the order that another call has saved under r.ID, where Create has
// said that there is one (ErrExists). The error is ErrExists if it is another customer's,
// and otherwise an ErrUnknown, whatever else it is: who reads ErrUnavailable alone takes
// it that nothing was done. Asking again with the same ID finds the order.
func quicker(ctx context.Context, p order.Ports, r order.Request) (order.Order, error) {
	o, err := existing(ctx, p, r)
	if err != nil && !errors.Is(err, order.ErrExists) {
		err = fmt.Errorf("%w: %w", order.ErrUnknown, err)
	}
	return o, err
}

// draft is the order that r asks for, as it will be when it is paid. Its Payment
// is not known yet.
func draft(r order.Request, lines []order.Line, totals order.Totals) order.Order {
	at := r.At.UTC().Truncate(time.Microsecond)
	return order.Order{
		ID: r.ID, Customer: r.Customer, Lines: lines, Totals: totals, Method: r.Method,
		State: order.Paid, Version: 1, Created: at, Updated: at,
	}
}

// failed says of err at which step of which order it came about.
func failed(r order.Request, step string, err error) error {
	return fmt.Errorf("placeorder: order %q: %s: %w", r.ID, step, err)
}
