package ordertest

import (
	"context"
	"slices"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// Step names a call of one of the ports.
type Step string

// The steps.
const (
	Dishes  Step = "Menu.Dishes"
	Reserve Step = "Stock.Reserve"
	Release Step = "Stock.Release"
	Left    Step = "Stock.Left"
	Charge  Step = "Payments.Charge"
	Refund  Step = "Payments.Refund"
	Create  Step = "Orders.Create"
	Get     Step = "Orders.Get"
	Update  Step = "Orders.Update"
	List    Step = "Orders.List"
)

// Faults stands in front of ports, and lets a test have them fail, wait, or tell
// that they were called. It is safe for concurrent use; a hook is called by the
// goroutine that makes the call, and may be called by several at once.
type Faults struct {
	real order.Ports

	mu            sync.Mutex // guards what follows
	before, after map[Step]func(context.Context) error
	calls         []Step
}

// NewFaults returns Faults in front of p that let everything pass.
func NewFaults(p order.Ports) *Faults {
	return &Faults{real: p, before: map[Step]func(context.Context) error{}, after: map[Step]func(context.Context) error{}}
}

// Ports are the ports with the faults.
func (f *Faults) Ports() order.Ports {
	return order.Ports{Menu: menu{f}, Stock: stock{f}, Payments: payments{f}, Orders: orders{f}}
}

// Before has hook called with the context of each such call, before it is done. If
// hook returns an error, the call is not done, and returns that error. nil takes
// the hook away.
func (f *Faults) Before(s Step, hook func(context.Context) error) { f.hook(f.before, s, hook) }

// After has hook called with the context of each such call that succeeded, when it
// is done. If hook returns an error, the call returns that: its answer is lost.
func (f *Faults) After(s Step, hook func(context.Context) error) { f.hook(f.after, s, hook) }

func (f *Faults) hook(hooks map[Step]func(context.Context) error, s Step, hook func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hooks[s] = hook
}

// Calls are the steps so far, also those that failed, in the order in which they
// were begun. The slice is the caller's own.
func (f *Faults) Calls() []Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// through makes the call f of the step s, with what the test wants of it.
func through[T any](f *Faults, ctx context.Context, s Step, call func() (T, error)) (T, error) {
	f.mu.Lock()
	before, after := f.before[s], f.after[s]
	f.calls = append(f.calls, s)
	f.mu.Unlock()
	var none T
	if before != nil {
		if err := before(ctx); err != nil {
			return none, err
		}
	}
	got, err := call()
	if err == nil && after != nil {
		err = after(ctx)
	}
	if err != nil {
		return none, err
	}
	return got, nil
}

// only is through, for a call that returns but an error.
func only(f *Faults, ctx context.Context, s Step, call func() error) error {
	_, err := through(f, ctx, s, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type menu struct{ f *Faults }

func (m menu) Dishes(ctx context.Context) ([]order.Dish, error) {
	return through(m.f, ctx, Dishes, func() ([]order.Dish, error) { return m.f.real.Menu.Dishes(ctx) })
}

type stock struct{ f *Faults }

func (s stock) Reserve(ctx context.Context, id string, items []order.Item) error {
	return only(s.f, ctx, Reserve, func() error { return s.f.real.Stock.Reserve(ctx, id, items) })
}

func (s stock) Release(ctx context.Context, id string) error {
	return only(s.f, ctx, Release, func() error { return s.f.real.Stock.Release(ctx, id) })
}

func (s stock) Left(ctx context.Context) (map[string]int, error) {
	return through(s.f, ctx, Left, func() (map[string]int, error) { return s.f.real.Stock.Left(ctx) })
}

type payments struct{ f *Faults }

func (p payments) Charge(ctx context.Context, c order.Charge) (string, error) {
	return through(p.f, ctx, Charge, func() (string, error) { return p.f.real.Payments.Charge(ctx, c) })
}

func (p payments) Refund(ctx context.Context, payment string) error {
	return only(p.f, ctx, Refund, func() error { return p.f.real.Payments.Refund(ctx, payment) })
}

type orders struct{ f *Faults }

func (o orders) Create(ctx context.Context, new order.Order) error {
	return only(o.f, ctx, Create, func() error { return o.f.real.Orders.Create(ctx, new) })
}

func (o orders) Get(ctx context.Context, id string) (order.Order, error) {
	return through(o.f, ctx, Get, func() (order.Order, error) { return o.f.real.Orders.Get(ctx, id) })
}

func (o orders) Update(ctx context.Context, changed order.Order) (order.Order, error) {
	return through(o.f, ctx, Update, func() (order.Order, error) { return o.f.real.Orders.Update(ctx, changed) })
}

func (o orders) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	return through(o.f, ctx, List, func() ([]order.Order, error) { return o.f.real.Orders.List(ctx, q) })
}
