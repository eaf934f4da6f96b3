package ordering_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/solution/idempotency"
	"clicktocode.example/05-business-logic/solution/orderstate"
)

// Flags of the command line come later, and win.
func init() {
	if err := flag.Set("rapid.checks", "300"); err != nil {
		panic(err)
	}
}

// TestProperties runs random histories of a restaurant in which everything that may
// fail does: each call of each port, before it is done or after, with an answer that
// says so or none; callers leave, at any step; the process dies, at any step, or is
// restarted; what was lost on its way comes late. Customers click twice, ask again,
// and cancel; the kitchen goes on; the loop settles; the payment provider tells of
// payments, twice and out of order, until it is told that it has been heard.
//
// After each step, and more strictly when the faults have stopped, stock, money, orders
// and mail agree: see check and end. To run more histories than the 300 of
// every day:
//
//	go test ./ordering -run TestProperties -rapid.checks=100000
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		defer w.close()
		t.Repeat(map[string]func(*rapid.T){
			"click":        w.click,
			"click_twice":  w.clickTwice,
			"ask_again":    w.askAgain,
			"cancel":       w.cancel,
			"advance":      w.advance,
			"settle":       w.settle,
			"webhook":      w.webhook,
			"late":         w.arrive,
			"time_passes":  w.timePasses,
			"restart":      w.restart,
			"kill_between": w.killBetween,
			"":             func(t *rapid.T) { w.check(t) },
		})
		w.end(t)
	})
}

const interval = time.Minute

var (
	dishes = []order.Dish{
		{ID: "ramen", Name: "Ramen", Price: order.Money{Amount: 1250, Currency: "EUR"}},
		{ID: "tea", Name: "Green tea", Price: order.Money{Amount: 310, Currency: "EUR"}},
	}
	initial = map[string]int{"ramen": 12, "tea": 9}
	quiet   = slog.New(slog.NewTextHandler(io.Discard, nil))
	epoch   = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
)

var errKilled = errors.New("the process is dead")

// wrong is what may go wrong with a call.
type wrong struct {
	kind string // see faultsOf
	err  error
}

// faultsOf are the faults that a step may have, by the ports' contracts. "not": it is
// not done. "done": it is, and its answer is lost. "late": it is lost on its way, and
// comes later. "leave": the caller leaves before; "left": after. "kill", "killed": the
// process dies before, or after.
func faultsOf(s ordertest.Step) []wrong {
	unavailable := wrong{"not", fmt.Errorf("no route to host: %w", order.ErrUnavailable)}
	lost, answer, late := wrong{"not", fmt.Errorf("reset: %w", order.ErrUnknown)}, wrong{"done", fmt.Errorf("reset: %w", order.ErrUnknown)}, wrong{"late", fmt.Errorf("timeout: %w", order.ErrUnknown)}
	both := wrong{"done", fmt.Errorf("reset: %w, then %w", order.ErrUnknown, order.ErrUnavailable)}
	odd, oddDone := wrong{"not", errors.New("broken")}, wrong{"done", errors.New("broken")}
	faults := []wrong{unavailable, {"leave", nil}, {"left", nil}, {"kill", errKilled}, {"killed", errKilled}}
	switch s {
	case ordertest.Reserve, ordertest.Release:
		faults = append(faults, odd, oddDone, lost, answer)
	case ordertest.Charge:
		faults = append(faults, lost, answer, late, both, odd, oddDone)
	case ordertest.Create:
		faults = append(faults, lost, answer, late, odd)
	case ordertest.Refund, ordertest.Update:
		faults = append(faults, lost, answer, odd, oddDone)
	}
	return faults
}

var steps = []ordertest.Step{ordertest.Dishes, ordertest.Reserve, ordertest.Release, ordertest.Charge, ordertest.Refund, ordertest.Create, ordertest.Get, ordertest.Update, ordertest.List}

// customer is a click on "Buy now", with the key that the page made up for it.
type customer struct {
	name, key string
	items     []order.Item
	method    string
	at        time.Time
	status    int // of the last answer; 0: none came
	order     order.Order
}

// final reports whether the customer has an answer, and asks no more.
func (c *customer) final() bool { return c.status != 0 && c.status < 500 }

type world struct {
	stock    *stock
	payments *memory.Payments
	orders   *orders
	faults   *ordertest.Faults
	service  *ordering.Service
	keys     *idempotency.Keys
	post     *counter

	mu     sync.Mutex // guards what follows
	now    time.Time
	plan   map[ordertest.Step][]wrong // the next calls' faults
	leave  context.CancelFunc         // has the caller under way leave
	dead   bool
	late   []func()
	used   map[string]time.Time // keys of charges, and when they were used first
	wrongs []string             // what may never happen, and did

	customers []*customer
	heard     map[string]int  // payments that were told of, and heard
	died      map[string]bool // families of orders that a process has forgotten by dying
	lost      map[string]bool // those of them for which nobody has asked since
	unsure    bool            // mail may have been lost: a process died, or an update's answer was lost
}

func newWorld(t *rapid.T) *world {
	w := &world{now: epoch, plan: map[ordertest.Step][]wrong{}, used: map[string]time.Time{}, heard: map[string]int{}, died: map[string]bool{}, lost: map[string]bool{}, post: &counter{sent: map[string]int{}}}
	w.stock = &stock{Stock: memory.NewStock(initial), reserved: map[string][]order.Item{}}
	w.payments = memory.NewPayments()
	w.orders = &orders{Orders: memory.NewOrders(), w: w, states: map[string]order.State{}, paid: map[string]bool{}}
	w.faults = ordertest.NewFaults(order.Ports{Menu: memory.NewMenu(dishes), Stock: w.stock, Payments: arrivals{w.payments, w}, Orders: w.orders})
	for _, s := range steps {
		w.faults.Before(s, func(ctx context.Context) error { return w.before(s) })
		w.faults.After(s, func(ctx context.Context) error { return w.after(s) })
	}
	w.start(t)
	return w
}

func (w *world) start(t *rapid.T) {
	keys, err := idempotency.New(idempotency.Config{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.keys = keys
	ports := w.faults.Ports()
	ports.Payments = charges{ports.Payments, w}
	ports.Orders = creates{ports.Orders, w}
	w.service, err = ordering.New(ordering.Config{
		Ports: ports, Tax: 1900, Discount: 500, Mailer: w.post, Recipient: func(c string) string { return c + "@example.com" },
		Interval: interval, Log: quiet, Now: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) never(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrongs = append(w.wrongs, fmt.Sprintf(format, args...))
}

// before and after are the hooks of each step.
func (w *world) before(s ordertest.Step) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errKilled
	}
	next := w.nextLocked(s)
	switch next.kind {
	case "not":
		w.popLocked(s)
		return next.err
	case "leave":
		w.popLocked(s)
		w.leave()
	case "kill":
		w.popLocked(s)
		w.dead = true
		return errKilled
	case "": // an empty place: so far, this call is well
		if len(w.plan[s]) > 0 {
			w.popLocked(s)
		}
	}
	return nil
}

func (w *world) after(s ordertest.Step) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errKilled
	}
	next := w.nextLocked(s)
	switch next.kind {
	case "done":
		w.popLocked(s)
		if s == ordertest.Update {
			w.unsure = true
		}
		return next.err
	case "left":
		w.popLocked(s)
		w.leave()
	case "killed":
		w.popLocked(s)
		w.dead = true
		return errKilled
	}
	return nil
}

func (w *world) nextLocked(s ordertest.Step) wrong {
	if len(w.plan[s]) == 0 {
		return wrong{}
	}
	return w.plan[s][0]
}

func (w *world) popLocked(s ordertest.Step) { w.plan[s] = w.plan[s][1:] }

// isLate reports whether the call of s that is to be made now comes late, and makes a
// note of it, for arrive.
func (w *world) isLate(s ordertest.Step, call func()) (error, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.nextLocked(s)
	if w.dead || next.kind != "late" {
		return nil, false
	}
	w.popLocked(s)
	w.late = append(w.late, call)
	return next.err, true
}

// run makes a call of the service in which things go wrong, and after which the
// process may be dead: then there is a new one.
func (w *world) run(t *rapid.T, call func(ctx context.Context), families ...string) {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	plan := map[ordertest.Step][]wrong{} // drawn without the lock: rapid gives up a draw by a panic
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		s := rapid.SampledFrom(steps).Draw(t, "step")
		for range rapid.IntRange(0, 1).Draw(t, "calls before") {
			plan[s] = append(plan[s], wrong{})
		}
		plan[s] = append(plan[s], rapid.SampledFrom(faultsOf(s)).Draw(t, "fault"))
	}
	if rapid.IntRange(0, 19).Draw(t, "left before") == 0 {
		leave()
	}
	w.mu.Lock()
	w.leave, w.plan = leave, plan
	w.mu.Unlock()
	call(ctx)
	w.mu.Lock()
	clear(w.plan)
	dead := w.dead
	w.mu.Unlock()
	if dead {
		for _, f := range families {
			w.lost[f], w.died[f] = true, true
		}
		w.anew(t)
	}
}

// anew has the process die, and another one begin.
func (w *world) anew(t *rapid.T) {
	for _, id := range w.service.Left() {
		w.lost[ordering.Family(id)], w.died[ordering.Family(id)] = true, true
	}
	w.mu.Lock()
	w.dead, w.unsure = true, true
	late := w.late
	w.late = nil
	w.mu.Unlock()
	for _, call := range late { // sooner than a new process is up
		call()
	}
	w.close()
	w.mu.Lock()
	w.dead = false
	w.mu.Unlock()
	w.start(t)
}

func (w *world) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.service.Close(ctx)
}

func (w *world) killBetween(t *rapid.T) { w.anew(t) }

// restart ends the process in good order, and begins another one.
func (w *world) restart(t *rapid.T) {
	err := w.service.Close(context.Background())
	if left := w.service.Left(); len(left) > 0 {
		t.Fatalf("Close, with all ports well: open are %v (%v)", left, err)
	}
	w.start(t)
}

// place is what a request does: see package controller for the statuses.
func (w *world) place(ctx context.Context, c *customer) (int, order.Order) {
	var placed order.Order
	answer, _, err := w.keys.Do(ctx, c.name, c.key, []byte(fmt.Sprint(c.items, c.method)), func(ctx context.Context) (idempotency.Answer, error) {
		o, err := w.service.Place(ctx, order.Request{Customer: c.name, Items: c.items, Method: c.method})
		if err != nil && ctx.Err() != nil {
			return idempotency.Answer{}, err // the client has left, and no answer is given
		}
		status := 500
		for _, known := range []struct {
			err    error
			status int
		}{
			{order.ErrUnknown, 504}, {order.ErrInvalid, 422}, {order.ErrSoldOut, 409}, {order.ErrDeclined, 402},
			{order.ErrConflict, 409}, {order.ErrUnavailable, 503},
		} {
			if errors.Is(err, known.err) {
				status = known.status
				break
			}
		}
		if err == nil {
			status, placed = 201, o
		}
		return idempotency.Answer{Status: status, Body: []byte(o.ID)}, nil
	})
	switch {
	case errors.Is(err, idempotency.ErrInFlight):
		return 0, order.Order{} // a 409 of another type: it is told to ask again
	case err != nil:
		return 0, order.Order{}
	case answer.Status == 201 && placed.ID == "":
		placed.ID = string(answer.Body)
	}
	return answer.Status, placed
}

func (w *world) newCustomer(t *rapid.T) *customer {
	c := &customer{
		name: rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "who"), key: fmt.Sprint("key-", len(w.customers)), at: w.clock(),
		method: rapid.SampledFrom([]string{"pm_card_visa", "pm_card_visa", "pm_card_visa", memory.Declined}).Draw(t, "method"),
	}
	for _, d := range rapid.SampledFrom([][]string{{"ramen"}, {"tea"}, {"ramen", "tea"}}).Draw(t, "dishes") {
		c.items = append(c.items, order.Item{Dish: d, Quantity: rapid.IntRange(1, 3).Draw(t, "quantity")})
	}
	w.customers = append(w.customers, c)
	return c
}

// family is the name under which the customer's order is placed.
func (w *world) family(c *customer) (name string) {
	keys, _ := idempotency.New(idempotency.Config{})
	_, _, _ = keys.Do(context.Background(), c.name, c.key, nil, func(ctx context.Context) (idempotency.Answer, error) {
		name = idempotency.ID(ctx)
		return idempotency.Answer{}, nil
	})
	return name
}

func (w *world) ask(t *rapid.T, c *customer, times int) {
	c.status = 0 // whatever it was told before: after a restart, it is asked for anew
	w.run(t, func(ctx context.Context) {
		type answer struct {
			status int
			order  order.Order
		}
		answers := make([]answer, times)
		var all sync.WaitGroup
		for i := range times {
			if times == 1 {
				answers[i].status, answers[i].order = w.place(ctx, c)
				break
			}
			all.Go(func() { answers[i].status, answers[i].order = w.place(ctx, c) })
		}
		all.Wait()
		if w.dead { // the connection broke
			return
		}
		for _, a := range answers {
			if a.status != 0 {
				c.status, c.order = a.status, a.order
			}
		}
	}, w.family(c))
}

func (w *world) click(t *rapid.T)      { w.ask(t, w.newCustomer(t), 1) }
func (w *world) clickTwice(t *rapid.T) { w.ask(t, w.newCustomer(t), 2) }

// mayAsk reports whether a client would still ask: within the life of the provider's key.
func (w *world) mayAsk(c *customer) bool { return w.clock().Sub(c.at) < 12*time.Hour }

func (w *world) askAgain(t *rapid.T) {
	var waiting []*customer
	for _, c := range w.customers {
		if w.mayAsk(c) {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		t.Skip("nobody")
	}
	w.ask(t, rapid.SampledFrom(waiting).Draw(t, "customer"), rapid.IntRange(1, 2).Draw(t, "times"))
}

func (w *world) any(t *rapid.T) order.Order {
	all := w.orders.all()
	if len(all) == 0 {
		t.Skip("no orders")
	}
	return rapid.SampledFrom(all).Draw(t, "order")
}

func (w *world) cancel(t *rapid.T) {
	o := w.any(t)
	w.run(t, func(ctx context.Context) {
		got, err := w.service.Cancel(ctx, o.Customer, o.ID)
		if err == nil && got.State != order.Cancelled && got.State != order.Cancelling {
			w.never("Cancel of %s, which was %s, returned it as %s, and no error", o.ID, o.State, got.State)
		}
	})
}

func (w *world) advance(t *rapid.T) {
	o := w.any(t)
	to := rapid.SampledFrom(order.States()).Draw(t, "to")
	w.run(t, func(ctx context.Context) {
		if _, err := w.service.Advance(ctx, o.ID, to); err == nil && (to == order.Paid || to == order.Cancelling || to == order.Cancelled) {
			w.never("Advance to %s is not the kitchen's", to)
		}
	})
}

func (w *world) settle(t *rapid.T) {
	w.pass(interval)
	w.run(t, func(ctx context.Context) { _ = w.service.Settle(ctx) })
}

func (w *world) tell(ctx context.Context, p memory.Payment) bool {
	key := p.Charge.Key
	err := w.service.SettlePayment(ctx, ordering.Payment{ID: p.ID, Order: p.Charge.Order, Amount: p.Charge.Amount, Paid: p.ID != "", At: w.used[key]})
	if err == nil && !w.dead {
		w.heard[key]++
		return true
	}
	return false
}

func (w *world) webhook(t *rapid.T) {
	book := w.payments.Book()
	if len(book) == 0 {
		t.Skip("no payments")
	}
	p := rapid.SampledFrom(book).Draw(t, "payment")
	w.run(t, func(ctx context.Context) { w.tell(ctx, p) })
}

func (w *world) arrive(t *rapid.T) {
	w.mu.Lock()
	late := w.late
	w.late = nil
	w.mu.Unlock()
	if len(late) == 0 {
		t.Skip("nothing is late")
	}
	for _, call := range late {
		call()
	}
}

func (w *world) timePasses(t *rapid.T) {
	if len(w.late) > 0 {
		t.Skip("what is late comes within minutes")
	}
	w.pass(rapid.SampledFrom([]time.Duration{time.Minute, 16 * time.Minute, time.Hour, 12 * time.Hour}).Draw(t, "time"))
}

// check says what holds at any time, when no call is under way.
func (w *world) check(t *rapid.T) {
	t.Helper()
	w.mu.Lock()
	for _, wrong := range w.wrongs {
		t.Error(wrong)
	}
	w.mu.Unlock()

	open := map[string]bool{}
	for _, id := range w.service.Left() {
		open[ordering.Family(id)] = true
	}
	left, err := w.stock.Left(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	total := maps.Clone(left)
	for _, items := range w.stock.reserved {
		for _, i := range items {
			total[i.Dish] += i.Quantity
		}
	}
	if !maps.Equal(total, initial) {
		t.Errorf("stock: %v left and reserved, there were %v", total, initial)
	}

	kept := map[string]int64{} // collected and not refunded, by order
	for _, p := range w.payments.Book() {
		if p.ID != "" && !p.Refunded {
			kept[p.Charge.Order] += p.Charge.Amount.Amount
		}
	}
	families := map[string]int{}
	for _, o := range w.orders.all() {
		items := w.stock.reserved[o.ID]
		var lines []order.Item
		for _, l := range o.Lines {
			lines = append(lines, order.Item{Dish: l.Dish, Quantity: l.Quantity})
		}
		switch o.State {
		case order.Cancelled:
			if len(items) > 0 || kept[o.ID] != 0 {
				t.Errorf("order %s is cancelled, and %v are reserved for it, and %d were not paid back", o.ID, items, kept[o.ID])
			}
		case order.Cancelling:
		case order.Pending:
			if !slices.Equal(items, lines) && kept[o.ID] != 0 {
				t.Errorf("order %s is pending, and %v are reserved for it, not %v", o.ID, items, lines)
			}
		default:
			if !slices.Equal(items, lines) {
				t.Errorf("order %s is %s, and %v are reserved for it, not %v", o.ID, o.State, items, lines)
			}
			if kept[o.ID] != o.Totals.Total.Amount || o.Payment == "" {
				t.Errorf("order %s is %s, costs %d, and %d were paid, by %q", o.ID, o.State, o.Totals.Total.Amount, kept[o.ID], o.Payment)
			}
		}
		if o.State != order.Cancelled {
			families[ordering.Family(o.ID)]++
		}
		delete(kept, o.ID)
	}
	for f, n := range families {
		if n > 1 {
			t.Errorf("%d orders of %s, for which there was one click", n, f)
		}
	}
	for id, amount := range kept {
		if f := ordering.Family(id); amount != 0 && !open[f] && !w.lost[f] && w.heard["charge-"+id] > 0 {
			t.Errorf("%d were paid for %s, which nobody knows of", amount, id)
		}
	}
	for id, items := range w.stock.reserved {
		f := ordering.Family(id)
		if _, there := w.orders.state(id); !there && !open[f] && !w.lost[f] {
			t.Errorf("%v are reserved for %s, which nobody knows of", items, id)
		}
	}
	w.post.mu.Lock()
	defer w.post.mu.Unlock()
	for id, n := range w.post.sent {
		if n > 1 || !w.orders.wasPaid(id) {
			t.Errorf("%d mails about %s, which was paid: %v", n, id, w.orders.wasPaid(id))
		}
	}
}

// end stops the faults, has customers ask again who have no answer, lets the loop and
// the webhooks do their work, and says what holds then.
func (w *world) end(t *rapid.T) {
	t.Helper()
	for _, call := range w.late {
		call()
	}
	w.late = nil
	ctx := context.Background()
	for _, c := range w.customers {
		if w.mayAsk(c) && !c.final() {
			w.mu.Lock()
			clear(w.plan)
			w.mu.Unlock()
			if c.status, c.order = w.place(ctx, c); !c.final() {
				t.Errorf("all is well, and a customer who asks again has the answer %d", c.status)
			}
			delete(w.lost, w.family(c)) // what a dead process has forgotten is found again
		}
	}
	w.pass(interval)
	if err := w.service.Settle(ctx); err != nil {
		t.Errorf("all is well, and Settle returned %v", err)
	}
	// So far, without the webhook: it is needed only for what a process has forgotten, and
	// for what could not be asked about until it was too late.
	for _, p := range w.payments.Book() {
		_, there := w.orders.state(p.Charge.Order)
		kept := p.ID != "" && !p.Refunded && w.clock().Sub(w.used[p.Charge.Key]) < 11*time.Hour
		if kept && !there && !w.died[ordering.Family(p.Charge.Order)] {
			t.Errorf("payment %+v has no order, and no process has died: Settle refunds it", p)
		}
	}
	w.pass(time.Hour)
	for _, p := range w.payments.Book() {
		if !w.tell(ctx, p) {
			t.Errorf("all is well, and nobody wants to hear of payment %+v", p)
		}
	}
	w.pass(interval)
	if err := w.service.Settle(ctx); err != nil {
		t.Errorf("all is well, and Settle returned %v", err)
	}
	w.check(t)

	if left := w.service.Left(); len(left) > 0 {
		t.Errorf("all is well, and open are %v", left)
	}
	var due int64
	for _, o := range w.orders.all() {
		switch o.State {
		case order.Pending:
			if w.clock().Sub(o.Created) < 11*time.Hour {
				t.Errorf("all is well, and order %s is pending since %v", o.ID, o.Created)
			}
		case order.Cancelling:
			t.Errorf("all is well, and order %s is cancelling", o.ID)
		case order.Cancelled:
		default:
			due += o.Totals.Total.Amount
		}
	}
	var collected int64
	for _, p := range w.payments.Book() {
		if p.ID != "" && !p.Refunded {
			collected += p.Charge.Amount.Amount
		}
	}
	if collected != due {
		t.Errorf("%d were collected, and the orders that are paid cost %d", collected, due)
	}
	for _, c := range w.customers {
		_, there := w.orders.state(c.order.ID)
		if c.status == 201 && !there {
			t.Errorf("customer %s was told of the order %q, which is not there", c.key, c.order.ID)
		}
		if c.final() && c.status != 201 {
			for _, o := range w.orders.all() {
				if ordering.Family(o.ID) == w.family(c) && o.State != order.Cancelled {
					t.Errorf("customer %s was told %d, and order %s is %s", c.key, c.status, o.ID, o.State)
				}
			}
		}
	}
	if err := w.service.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	w.check(t)
	if !w.unsure {
		for _, o := range w.orders.all() {
			// Of an order whose Create got no answer, this process learns that it is Paid when
			// it looks again. What was cancelled by then, nobody wants confirmed.
			cancelled := o.State == order.Cancelling || o.State == order.Cancelled
			if n := w.post.sent[o.ID]; w.orders.wasPaid(o.ID) && n != 1 && !(cancelled && n == 0) {
				t.Errorf("order %s was paid, is %s, and was confirmed %d times", o.ID, o.State, w.post.sent[o.ID])
			}
		}
	}
}

// stock knows what is reserved.
type stock struct {
	*memory.Stock
	mu       sync.Mutex
	reserved map[string][]order.Item
}

func (s *stock) Reserve(ctx context.Context, id string, items []order.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Stock.Reserve(ctx, id, items)
	if _, there := s.reserved[id]; err == nil && !there {
		s.reserved[id] = slices.Clone(items)
	}
	return err
}

func (s *stock) Release(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Stock.Release(ctx, id)
	if err == nil {
		delete(s.reserved, id)
	}
	return err
}

// orders looks at each step of each order.
type orders struct {
	*memory.Orders
	w      *world
	mu     sync.Mutex
	states map[string]order.State
	paid   map[string]bool
}

func (o *orders) Create(ctx context.Context, n order.Order) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.Orders.Create(ctx, n)
	if err == nil {
		if n.State != order.Pending && n.State != order.Paid {
			o.w.never("order %s was created as %s", n.ID, n.State)
		}
		o.states[n.ID], o.paid[n.ID] = n.State, n.State == order.Paid
	}
	return err
}

func (o *orders) Update(ctx context.Context, n order.Order) (order.Order, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.states[n.ID]
	kept, err := o.Orders.Update(ctx, n)
	if err == nil {
		if bad := orderstate.Check(before, n.State); bad != nil {
			o.w.never("order %s: %v", n.ID, bad)
		}
		o.states[n.ID] = n.State
		o.paid[n.ID] = o.paid[n.ID] || n.State == order.Paid
	}
	return kept, err
}

func (o *orders) all() []order.Order {
	all, _ := o.Orders.List(context.Background(), order.Query{Limit: 1000})
	return all
}

func (o *orders) state(id string) (order.State, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, there := o.states[id]
	return s, there
}

func (o *orders) wasPaid(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.paid[id]
}

// charges are Payments whose charges may come late, and whose keys are forgotten.
type charges struct {
	order.Payments
	w *world
}

func (p charges) Charge(ctx context.Context, c order.Charge) (string, error) {
	p.w.mu.Lock()
	first, there := p.w.used[c.Key]
	p.w.mu.Unlock()
	if now := p.w.clock(); there && now.Sub(first) > 24*time.Hour {
		p.w.never("the charge %s was asked for after %v: its key is forgotten, and this is a new charge", c.Key, now.Sub(first))
	}
	if err, late := p.w.isLate(ordertest.Charge, func() { _, _ = arrivals{p.w.payments, p.w}.Charge(context.Background(), c) }); late {
		return "", err
	}
	return p.Payments.Charge(ctx, c)
}

// arrivals notes when a key was used first: when its charge has reached the provider.
type arrivals struct {
	order.Payments
	w *world
}

func (p arrivals) Charge(ctx context.Context, c order.Charge) (string, error) {
	now := p.w.clock()
	p.w.mu.Lock()
	if _, there := p.w.used[c.Key]; !there {
		p.w.used[c.Key] = now
	}
	p.w.mu.Unlock()
	return p.Payments.Charge(ctx, c)
}

// creates are Orders whose creations may come late.
type creates struct {
	order.Orders
	w *world
}

func (o creates) Create(ctx context.Context, n order.Order) error {
	if err, late := o.w.isLate(ordertest.Create, func() { _ = o.w.orders.Create(context.Background(), n) }); late {
		return err
	}
	return o.Orders.Create(ctx, n)
}

// counter counts mails by order.
type counter struct {
	mu   sync.Mutex
	sent map[string]int
}

func (c *counter) Send(_ context.Context, m order.Mail) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[m.Key[len("confirmation-"):]]++
	return nil
}
