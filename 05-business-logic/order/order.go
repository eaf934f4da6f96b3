// Package order is the contract of chapter 5: what a restaurant sells, what an
// order is, and what the order service needs of others. It knows neither HTTP
// nor SQL nor anybody's API: whoever stores, charges or sends implements one of
// its ports, and package ordertest says what that takes.
//
// An order takes this path: package controller reads it, idempotency sees to it
// that it is placed once, placeorder prices it (pricing), reserves what is in
// stock, charges, and saves it; orderstate says what may become of it then. In
// the story, these are the chefs.
//
// Source: "Implementing Stripe-like Idempotency Keys
// in Postgres" (B. Leach, 2017) for the order of the steps, and why the answer
// to a charge may be that nobody knows.
package order

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Money is an amount in the currency's smallest unit: {1250, "EUR"} are 12.50 €.
// Amounts of two currencies are never added.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"` // ISO 4217, upper case
}

func (m Money) String() string { return fmt.Sprintf("%d %s (smallest units)", m.Amount, m.Currency) }

// Dish is a line of the menu.
type Dish struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Price Money  `json:"price"` // of one, without tax
}

// Item is so many of one dish.
type Item struct {
	Dish     string `json:"dish"` // its ID
	Quantity int    `json:"quantity"`
}

// Bounds on one order. An order has 1 to MaxLines lines, each with another dish,
// and 1 to MaxQuantity of it. Its Method has 1 to MaxMethod characters.
const (
	MaxLines    = 50
	MaxQuantity = 100
	MaxMethod   = 255
)

// Line is an Item with the name and price that it had when it was ordered: the
// menu may change, an order does not.
type Line struct {
	Dish     string `json:"dish"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Unit     Money  `json:"unit"`  // the price of one
	Total    Money  `json:"total"` // Unit times Quantity
}

// Totals are what an order costs: Total = Subtotal − Discount + Tax.
type Totals struct {
	Subtotal Money `json:"subtotal"` // the lines' sum
	Discount Money `json:"discount"` // as a positive amount
	Tax      Money `json:"tax"`
	Total    Money `json:"total"` // what is charged
}

// State is where an order stands. Package orderstate says which steps there are.
type State string

// The states.
const (
	// Pending: the charge was sent, and nobody knows yet what became of it. The
	// dishes stay reserved.
	Pending State = "pending"
	// Paid: the money is there, and the kitchen has not begun.
	Paid State = "paid"
	// Preparing: the kitchen is at it.
	Preparing State = "preparing"
	// Dispatched: it is on its way to the customer.
	Dispatched State = "dispatched"
	// Delivered: the customer has it.
	Delivered State = "delivered"
	// Cancelling: it will not be cooked. What was paid is being paid back, and the
	// dishes are being put back into stock; either may have to be tried again.
	Cancelling State = "cancelling"
	// Cancelled: it will not be cooked. What was paid has been paid back, and the
	// dishes are in stock again.
	Cancelled State = "cancelled"
)

// States are all of them, in the order of an order's life.
func States() []State {
	return []State{Pending, Paid, Preparing, Dispatched, Delivered, Cancelling, Cancelled}
}

// Order is what a customer ordered. It is a value: what a port returns is the
// caller's own, Lines included.
type Order struct {
	ID       string // unique; chosen by the service before anything is done
	Customer string // a principal's subject
	Lines    []Line
	Totals   Totals
	State    State
	Method   string    // what it is paid by, see Charge.Method; kept, so that a lost answer can be asked for
	Payment  string    // the payment's ID; empty while State is Pending
	Version  int       // 1 when it is created, and 1 more with each change
	Created  time.Time // UTC, to the microsecond, so that a database can keep it
	Updated  time.Time // likewise
}

// Charge is what Payments is to collect for the order, the same each time: so
// whoever asks again about an order that is Pending gets the first one's answer.
func (o Order) Charge() Charge {
	return Charge{Key: "charge-" + o.ID, Order: o.ID, Amount: o.Totals.Total, Method: o.Method}
}

// Faults that a caller may want to tell apart. Ports and the service return
// them wrapped: use errors.Is, or errors.As for the types below.
var (
	ErrNotFound = errors.New("order: not found")
	// ErrExists: there is an order of that ID already.
	ErrExists = errors.New("order: exists already")
	// ErrConflict: the order was changed by somebody else since it was read.
	ErrConflict = errors.New("order: changed meanwhile")
	// ErrSoldOut: there is not enough of a dish. See SoldOutError.
	ErrSoldOut = errors.New("order: sold out")
	// ErrDeclined: the charge was refused for good, and no money has moved.
	ErrDeclined = errors.New("order: payment declined")
	// ErrUnknown: a call was sent and its answer did not come. It may have been
	// done, and may not. Asking again under the same key finds out.
	ErrUnknown = errors.New("order: outcome unknown")
	// ErrUnavailable: a part that is needed cannot be reached. This call has done
	// nothing. Reserve and Charge say why somebody may have to undo all the same.
	ErrUnavailable = errors.New("order: unavailable")
	// ErrInvalid: the request itself is at fault. See InvalidError.
	ErrInvalid = errors.New("order: invalid")
	// ErrState: the order's state does not allow it. See StateError.
	ErrState = errors.New("order: not in this state")
)

// SoldOutError is an ErrSoldOut that says which dish.
type SoldOutError struct {
	Dish string
	Left int // how many there were
}

func (e *SoldOutError) Error() string {
	return fmt.Sprintf("%v: dish %q, %d left", ErrSoldOut, e.Dish, e.Left)
}
func (e *SoldOutError) Is(target error) bool { return target == ErrSoldOut }

// InvalidError is an ErrInvalid that says what is wrong, in words for the customer.
type InvalidError struct {
	Field string // as in "lines[2].quantity"
	What  string
}

func (e *InvalidError) Error() string        { return fmt.Sprintf("%v: %s: %s", ErrInvalid, e.Field, e.What) }
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// StateError is an ErrState that names both states.
type StateError struct{ From, To State }

func (e *StateError) Error() string {
	return fmt.Sprintf("%v: from %s to %s", ErrState, e.From, e.To)
}
func (e *StateError) Is(target error) bool { return target == ErrState }

// Menu knows the dishes. It may be asked by many goroutines at once.
type Menu interface {
	// Dishes are all that are sold, in the order of the menu. The slice is the
	// caller's own.
	Dishes(ctx context.Context) ([]Dish, error)
}

// Stock counts what is left. It may be called by many goroutines at once.
type Stock interface {
	// Reserve takes items out of the stock for the order, all of them or none:
	// a *SoldOutError names the first dish that there is not enough of. A second
	// call for one order does nothing and succeeds, whatever its items: a caller
	// that got no answer may ask again. Once the order was released, Reserve
	// returns ErrConflict, so that a call that comes late takes nothing. After either
	// of these two, nothing is reserved for the order, whatever calls came before.
	// After another error, ErrUnavailable included, something may be: of two attempts,
	// the first one's answer may have been lost, and the second one not sent. Release
	// is safe.
	Reserve(ctx context.Context, order string, items []Item) error
	// Release puts back what was reserved for the order. Done twice, or for an
	// order that has reserved nothing, it changes no number and succeeds. Where stock
	// and orders are in one place, an order that is kept, and Paid or further on, is
	// not released: that is an ErrUnavailable.
	Release(ctx context.Context, order string) error
	// Left is how many there are of each dish, by ID.
	Left(ctx context.Context) (map[string]int, error)
}

// Charge is what Payments is to collect.
type Charge struct {
	// Key makes several calls one charge. Order.Charge derives it from the order's ID.
	Key    string
	Order  string
	Amount Money // at least 1
	// Method is what the customer pays by, in the payment provider's own words: a
	// token, never a card's number.
	Method string
}

// Payments moves money. It may be called by many goroutines at once.
type Payments interface {
	// Charge collects c.Amount, once for each c.Key, and returns the payment's ID.
	// A second call with the same key returns what became of the first one; if that
	// was paid back since, there is no money, and it is ErrDeclined.
	// ErrDeclined: refused for good. ErrInvalid: c itself is at fault.
	// ErrUnavailable: it was not sent. After these three, nothing was collected; but
	// ErrUnavailable speaks of this call alone, and not of one before it with the same
	// key whose outcome is unknown.
	// ErrUnknown, and whatever other error: ask again under the same key. An error
	// that is ErrUnknown is that, whatever else it wraps. ErrConflict: the key stands
	// for a charge of something else, so it is not for sure that nothing was collected.
	Charge(ctx context.Context, c Charge) (payment string, err error)
	// Refund pays all of it back, once, whatever the number of calls. ErrNotFound:
	// there is no such payment. ErrUnknown and ErrUnavailable as above.
	Refund(ctx context.Context, payment string) error
}

// Orders keeps orders. It may be called by many goroutines at once.
type Orders interface {
	// Create keeps a new order, lines included, or nothing of it. ErrExists: its
	// ID is taken. ErrUnknown: it may be kept; Create again, and ErrExists says
	// that it is (that Get finds nothing says little: it may come yet). After
	// any other error, nothing is kept. Where stock and orders are in one place,
	// ErrConflict says that the order's stock was released: another replica was
	// placing it, too, failed, and has undone it.
	Create(ctx context.Context, o Order) error
	// Get returns the order. ErrNotFound: there is none of that ID.
	Get(ctx context.Context, id string) (Order, error)
	// Update keeps o in the place of the order with the same ID, if that one's
	// Version is o.Version, and returns it as it is kept, with the next Version.
	// Only State, Payment and Updated are changed. ErrConflict: it has another
	// Version by now. ErrNotFound: there is none.
	Update(ctx context.Context, o Order) (Order, error)
	// List returns a page of orders, newest first: by Created, and those of one
	// moment by ID, both downwards. IDs are compared octet by octet.
	List(ctx context.Context, q Query) ([]Order, error)
}

// Query says which orders to list.
type Query struct {
	Customer string // empty means everybody's
	State    State  // empty means any
	Limit    int    // at least 1; the service bounds it
	// After is the last order of the page before this one. The zero Cursor is the start.
	After Cursor
}

// Cursor is a place in a list: behind the order that was created then, with that
// ID. It stays where it is when orders are added (keyset pagination).
type Cursor struct {
	Created time.Time
	ID      string
}

// Mail is a message to a customer.
type Mail struct {
	Key     string // makes several calls one message, where the provider can
	To      string
	Subject string
	Text    string
}

// Mailer sends mail. It may be called by many goroutines at once.
type Mailer interface {
	// Send hands m to the provider. ErrUnknown: it may have been sent.
	// ErrUnavailable: it was not. ErrInvalid: it never will be.
	Send(ctx context.Context, m Mail) error
}

// Ports are all that the service needs of others. None may be nil.
type Ports struct {
	Menu     Menu
	Stock    Stock
	Payments Payments
	Orders   Orders
}

// Request is an order as a customer asks for it.
type Request struct {
	ID       string // the order's, chosen by the service: asking again with the same ID is the same order
	Customer string
	Items    []Item
	Method   string // see Charge.Method
	At       time.Time
}
