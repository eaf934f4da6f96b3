package ordering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/orderstate"
	"clicktocode.example/05-business-logic/solution/pricing"
)

// Config is what a Service works with. Ports is required, all of it.
type Config struct {
	Ports order.Ports

	// Discount and Tax are those of every order: see pricing.Price.
	Discount pricing.Discount
	Tax      pricing.Rate

	// Mailer sends a confirmation when an order becomes Paid. nil means that none is
	// sent here. See Service for what of it may be lost.
	Mailer order.Mailer
	// Recipient is the address of a customer, or empty: then none is sent. It is
	// required if there is a Mailer, called by one goroutine at a time, and must not
	// wait for anything.
	Recipient func(customer string) string
	// Queue is how many mails wait at most. One that finds no place is dropped, and
	// logged. 0 means 1,000; it must not be negative.
	Queue int

	// Interval is how often Settle runs by itself, and how long it leaves an order
	// alone that was changed: whoever changed it may be at it. While something cannot
	// be settled, the time between two runs doubles, up to 16 times Interval. 0 means
	// 10 s; it must not be negative.
	Interval time.Duration
	// KeyLife is for how long a charge is asked for again, counted from Order.Created.
	// After it, the payment provider may have forgotten Charge.Key, and it might be a
	// new charge. 0 means 11 h; it must not be negative.
	//
	// Stripe remembers a key for 24 h from its first use. That may lie before Created:
	// where a process died between the charge and the save, Created is when the customer
	// asked again. So customers may do that for 12 h, and an hour is left for clocks
	// that differ.
	KeyLife time.Duration
	// Orphan is how long ago a payment was made whose order is not there when
	// SettlePayment refunds it: longer than any Place takes. 0 means 15 min; it must
	// not be negative. The payment provider's account must be this service's own:
	// payments for the orders of another one that uses the same account would be
	// refunded, too.
	Orphan time.Duration

	// Log gets what is left open, and what needs a human: the latter as errors. nil
	// means slog.Default(), as it is when New is called.
	Log *slog.Logger
	// Now is the clock. nil means time.Now. It is called by many goroutines at once.
	Now func() time.Time
}

// Service places orders, and looks after them. It is a controller.Service. Make one
// with New, and Close it. Its methods may be called by many goroutines at once.
//
// Mail is sent by a goroutine of its own, in the order in which orders became Paid.
// What could not be sent (order.ErrUnavailable) is tried again, three times in all;
// what may have been sent is not, since nobody wants two. So each order is confirmed
// at most once. What waits when the process dies is lost, as is the mail of an order
// that became Paid by an Orders.Update whose answer never came: chapter 7's outbox,
// written in the same transaction as the order, mends both.
type Service struct {
	c     Config // without zeros
	names turns
	left  leftovers
	post  *post // nil: no mail
	stop  context.CancelFunc
	loop  sync.WaitGroup
	close sync.Once

	mu    sync.Mutex
	aside map[string]bool // orders that a human has been told of; guarded by mu
}

// New returns a Service whose loop runs. err names all faults of c at once.
func New(c Config) (*Service, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Interval = cmp.Or(c.Interval, 10*time.Second)
	c.KeyLife = cmp.Or(c.KeyLife, 11*time.Hour)
	c.Orphan = cmp.Or(c.Orphan, 15*time.Minute)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{c: c, stop: stop, aside: map[string]bool{}}
	if c.Mailer != nil {
		s.post = newPost(c, cmp.Or(c.Queue, 1000))
	}
	s.loop.Go(func() { s.run(ctx) })
	return s, nil
}

func (c Config) check() error {
	var faults []error
	for _, port := range []struct {
		name    string
		missing bool
	}{
		{"Menu", c.Ports.Menu == nil}, {"Stock", c.Ports.Stock == nil},
		{"Payments", c.Ports.Payments == nil}, {"Orders", c.Ports.Orders == nil},
	} {
		if port.missing {
			faults = append(faults, fmt.Errorf("ordering: Ports.%s is required", port.name))
		}
	}
	if c.Discount < 0 || c.Discount >= 10_000 {
		faults = append(faults, fmt.Errorf("ordering: Discount is %d, must be 0 to 9,999 basis points: what costs nothing cannot be charged", c.Discount))
	}
	if c.Tax < 0 || c.Tax > 10_000 {
		faults = append(faults, fmt.Errorf("ordering: Tax is %d, must be 0 to 10,000 basis points", c.Tax))
	}
	if c.Mailer != nil && c.Recipient == nil {
		faults = append(faults, errors.New("ordering: Recipient is required, as there is a Mailer"))
	}
	if c.Queue < 0 {
		faults = append(faults, fmt.Errorf("ordering: Queue is %d, must not be negative", c.Queue))
	}
	for _, d := range []struct {
		name string
		time.Duration
	}{{"Interval", c.Interval}, {"KeyLife", c.KeyLife}, {"Orphan", c.Orphan}} {
		if d.Duration < 0 {
			faults = append(faults, fmt.Errorf("ordering: %s is %v, must not be negative", d.name, d.Duration))
		}
	}
	return errors.Join(faults...)
}

// Close ends the loop, goes once more after what only this process knows of, sends
// the mail that waits, and returns when all of it has ended. When ctx is done,
// it gives up: the error says of what, and so does the log. Nothing may be placed,
// cancelled or settled meanwhile, and afterwards; stop the server first. Only the
// first call does anything.
//
// The calls under way end by their context, which Ports and Mailer must obey.
func (s *Service) Close(ctx context.Context) (err error) {
	s.close.Do(func() {
		s.stop()
		s.loop.Wait()
		var lost []error
		if err := s.finishLeftovers(ctx); err != nil {
			lost = append(lost, fmt.Errorf("ordering: close: %w", err))
		}
		for _, l := range s.left.all() {
			s.c.Log.Error("ordering: left open by a process that ends", "order", l.r.ID, "payment", l.owed, "undo", l.back)
		}
		if s.post != nil {
			if n := s.post.close(ctx); n > 0 {
				lost = append(lost, fmt.Errorf("ordering: close: %d mails were not sent", n))
			}
		}
		err = errors.Join(lost...)
	})
	return err
}

// maxPage is how many orders List returns at most: a page, and the one that tells
// whether there is another.
const maxPage = 101

// Get returns the order id, if it is customer's. ErrNotFound: there is none, or it is
// another's. An empty customer stands for the kitchen, whose all are.
func (s *Service) Get(ctx context.Context, customer, id string) (order.Order, error) {
	o, err := s.c.Ports.Orders.Get(ctx, id)
	if err == nil && customer != "" && o.Customer != customer {
		err = order.ErrNotFound // and no other words than for one that is not there
	}
	if err != nil {
		return order.Order{}, fmt.Errorf("ordering: order %q: %w", id, err)
	}
	return o, nil
}

// List returns a page of orders: see order.Query. Its Limit is 1 to 101.
func (s *Service) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	if q.Limit < 1 || q.Limit > maxPage {
		return nil, fmt.Errorf("ordering: list: %w", &order.InvalidError{Field: "limit", What: fmt.Sprintf("must be 1 to %d, not %d", maxPage, q.Limit)})
	}
	page, err := s.c.Ports.Orders.List(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("ordering: list: %w", err)
	}
	return page, nil
}

// rereads is how often a change is tried anew that met another one. Each of them has
// gone a step further, and an order has few.
const rereads = 5

// Advance takes the order id on to the state to, which is one of the kitchen's:
// Preparing, Dispatched or Delivered. Other steps are not taken this way, and refused
// by a *order.StateError, as are those that orderstate does not know.
func (s *Service) Advance(ctx context.Context, id string, to order.State) (order.Order, error) {
	return s.change(ctx, id, "", func(o order.Order) (order.Order, error) {
		switch to {
		case order.Preparing, order.Dispatched, order.Delivered:
			return s.step(ctx, o, to)
		}
		return order.Order{}, &order.StateError{From: o.State, To: to}
	})
}

// change has do change the order id, anew whenever somebody else has changed it since
// it was read. customer is as with Get. order.ErrCondition: the condition that came with
// ctx does not hold of it.
func (s *Service) change(ctx context.Context, id, customer string, do func(order.Order) (order.Order, error)) (order.Order, error) {
	var err error
	for range rereads {
		var o order.Order
		if o, err = s.Get(ctx, customer, id); err != nil {
			return order.Order{}, err
		}
		if err = order.CheckCondition(ctx, o); err != nil { // each time: Update keeps what is made of this version
			break
		}
		if o, err = do(o); err == nil {
			return o, nil
		}
		if !errors.Is(err, order.ErrConflict) {
			break
		}
	}
	return order.Order{}, fmt.Errorf("ordering: order %q: %w", id, err)
}

// step takes o to the state to, if that is legal, and with it keeps o.Payment. What
// has become Paid is confirmed by mail. ErrConflict: it was changed meanwhile.
//
// Whether an update was done whose answer is lost, step looks itself. If that fails,
// too, it returns the update's error.
func (s *Service) step(ctx context.Context, o order.Order, to order.State) (order.Order, error) {
	if err := orderstate.Check(o.State, to); err != nil {
		return order.Order{}, err
	}
	next := o
	next.State, next.Updated = to, s.moment()
	kept, err := s.c.Ports.Orders.Update(ctx, next)
	if err != nil {
		if errors.Is(err, order.ErrConflict) || errors.Is(err, order.ErrNotFound) {
			return order.Order{}, err
		}
		err2 := s.detached(ctx, func(ctx context.Context) (err error) {
			kept, err = s.c.Ports.Orders.Get(ctx, o.ID)
			return err
		})
		ours := kept.Version == o.Version+1 && kept.State == to && kept.Payment == next.Payment && kept.Updated.Equal(next.Updated)
		if err2 != nil || !ours {
			return order.Order{}, err
		}
	}
	if to == order.Paid {
		s.confirm(kept)
	}
	return kept, nil
}

// moment is now, as an order keeps it.
func (s *Service) moment() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// patience is how long what is done for one order may take when nobody waits for it:
// as long as a Charge with all its attempts.
const patience = 30 * time.Second

// detached makes a call that is made also when ctx is done.
func (s *Service) detached(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return call(ctx)
}
