// Package controller is where an order comes in from the web and its answer goes
// out: it reads what the customer sent, has the service do it, and says in HTTP
// what became of it. It decides nothing about orders.
//
// Two languages meet here. The service speaks of orders, and its errors say
// "sold out", in a text for those who run it: with the names of hosts, tables and
// dishes in it. The customer's program understands a status, a problem document
// (RFC 9457) and a Location. Between them stands one translation, and here is the
// only place that knows it. In the story, this is the chef at the pass: he reads
// the slip aloud to the cooks, and never lets a guest hear what they shout back.
//
//	request ─► authorize ─► bind ─► Service ─► order ──► 201, Location, JSON
//	                          │         └────► error ─► problemOf ─► 4xx or 5xx
//	                          └─► 400
//
// Source: RFC 9110 §9.3.3 (POST), §10.2.2 (Location), §10.2.3 (Retry-After), §15
// (status codes); RFC 9457; OWASP API3:2023 (what a body may set).
package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/authorize"
	"clicktocode.example/05-business-logic/order"
)

// Service is what the controllers need of the order service. Its methods may be
// called by many goroutines at once, and return when ctx, the request's, has
// ended. Errors wrap those of package order: problemOf says which are known. An
// order that comes with an error counts for nothing.
type Service interface {
	// Place places the order that r asks for. r.ID and r.At are empty: the service
	// chooses them. If nobody knows yet whether it has been paid, that is no error:
	// the order is in state order.Pending.
	Place(ctx context.Context, r order.Request) (order.Order, error)
	// Get returns the order id, if it is customer's. ErrNotFound: there is none, or
	// it is another's. An empty customer stands for the kitchen, whose all are.
	Get(ctx context.Context, customer, id string) (order.Order, error)
	// List returns a page of orders: see order.Query.
	List(ctx context.Context, q order.Query) ([]order.Order, error)
	// Cancel cancels the order id, and returns it as it is then. customer and
	// ErrNotFound are as with Get.
	Cancel(ctx context.Context, customer, id string) (order.Order, error)
	// Advance takes the order id on to the state to, and returns it as it is then.
	Advance(ctx context.Context, id string, to order.State) (order.Order, error)
}

// Scopes that the routes need, as authorize.Scope has them. Who may advance
// orders, which is the kitchen, also sees and cancels everybody's.
const (
	ScopeRead    = "orders:read"
	ScopeWrite   = "orders:write"
	ScopeKitchen = "orders:kitchen"
)

// Bounds on a page of the list, in orders.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// Config is what the controllers may be told.
type Config struct {
	// Method is what an order is paid by whose body has no payment_method, in the
	// payment provider's words. Empty means that a body must have one.
	Method string
	// Once, unless nil, is called before an order is placed, and behind the check of
	// the scope: idempotency.Handler goes here.
	Once gin.HandlerFunc
	// Render, unless nil, writes what a route answers, which is an *Order or a *Page,
	// with status. nil means as JSON. Problems are not its business.
	Render func(c *gin.Context, status int, answer any)
}

// Controllers are the handlers of the orders' routes. Make them with New.
type Controllers struct {
	service Service
	config  Config
}

// New returns the controllers of s, which must not be nil.
func New(s Service, c Config) (*Controllers, error) {
	if s == nil {
		return nil, errors.New("controller: no Service")
	}
	if c.Once == nil {
		c.Once = func(*gin.Context) {}
	}
	if c.Render == nil {
		c.Render = func(c *gin.Context, status int, answer any) { c.JSON(status, answer) }
	}
	return &Controllers{service: s, config: c}, nil
}

// Register adds the routes to r. In front of them must stand what authenticates
// (without a principal, each of them is 401) and what bounds a body's size: see
// packages authenticate and validate of chapter 4.
//
//	POST /orders               orders:write    Place
//	GET  /orders               orders:read     List
//	GET  /orders/:id           orders:read     Get
//	POST /orders/:id/cancel    orders:write    Cancel
//	POST /orders/:id/advance   orders:kitchen  Advance
func (s *Controllers) Register(r gin.IRouter) {
	r.POST("/orders", authorize.Scope(ScopeWrite), s.config.Once, s.place)
	r.GET("/orders", authorize.Scope(ScopeRead), s.list)
	r.GET("/orders/:id", authorize.Scope(ScopeRead), s.get)
	r.POST("/orders/:id/cancel", authorize.Scope(ScopeWrite), s.cancel)
	r.POST("/orders/:id/advance", authorize.Scope(ScopeKitchen), s.advance)
}

// placing is the body of POST /orders. What is not in here, nobody can set: no
// price, no customer, no state.
type placing struct {
	Lines         []order.Item `json:"lines"`
	PaymentMethod string       `json:"payment_method"`
}

// place answers POST /orders:
//
//	{"lines": [{"dish": "ramen", "quantity": 2}], "payment_method": "pm_card_visa"}
//
// Who orders is the request's principal, whose token was checked: the Subject of
// request.From(ctx), whatever the body says. The service gets the lines as they are,
// and judges them. PaymentMethod may be empty: then place puts in Config.Method. If
// that is empty, too, the service gets none, and judges that.
//
// The answer's status is 201, in whatever state the order is (asked again, the service
// returns it as it stands), but 202 if that is order.Pending: it is kept, but whether
// it will be cooked is open (RFC 9110 §15.3.3). Both have the
// order as their body (s.reply), and its path in the field Location: the path of
// this route as it is registered (c.FullPath), a slash, and the order's ID. So
// where the routes are registered under /v2, it is /v2/orders/17.
//
// A body that bind does not read is answered by bind, and the service not asked.
// An error of the service goes to refuse.
func (s *Controllers) place(c *gin.Context) {
	//workshop:begin
	//workshop:todo Read the body into a placing (bind), put in s.config.Method where it names no
	//workshop:todo method, and call s.service.Place in the request's context. Then answer: refuse,
	//workshop:todo or Location and s.reply.
	var body placing
	if !bind(c, &body) {
		return
	}
	if body.PaymentMethod == "" {
		body.PaymentMethod = s.config.Method
	}
	ctx := c.Request.Context()
	o, err := s.service.Place(ctx, order.Request{
		Customer: request.From(ctx).Subject, // and nothing of the body: anybody can write a name
		Items:    body.Lines,
		Method:   body.PaymentMethod,
	})
	if err != nil {
		refuse(c, err)
		return
	}
	status := http.StatusCreated
	if o.State == order.Pending {
		status = http.StatusAccepted // 201 would be taken for "paid"
	}
	c.Header("Location", c.FullPath()+"/"+o.ID) // relative to the site: "17" alone would mean /17
	s.reply(c, status, o)
	//workshop:end
}

// problemOf is what the customer is told of an error of the service, which may be
// wrapped, by whoever has passed it on. Its type is problems and a name, so that a
// program can tell three kinds of 409 apart:
//
//	order.ErrUnknown      504  unknown      it may have been done, and may not
//	order.ErrInvalid      422  invalid      Detail is faults(err)
//	order.ErrSoldOut      409  sold-out     Detail names the dish, and how many are left
//	order.ErrDeclined     402  declined
//	order.ErrNotFound     404  not-found    it is another's, or is not there: which one, is not said
//	order.ErrState        409  state        Detail names the state that the order is in
//	order.ErrConflict     409  conflict
//	order.ErrUnavailable  503  unavailable  nothing was done; refuse adds Retry-After
//	any other             500  internal     a fault of ours, and none of their business
//
// An error may be several of them, as one is that comes with what went wrong when it
// was undone. Then the first in the table counts: of what may have been charged,
// nobody must say that it was not.
//
// Each has a Detail, which says what to do next. It is made of words that stand
// here, and of the fields of *order.SoldOutError, *order.StateError and
// *order.InvalidError, if err has one. An error's text (err.Error()) is never in it:
// it names hosts, tables and users.
func problemOf(err error) problem.Details {
	//workshop:begin return problem.Details{}
	//workshop:todo One case for each line above. errors.Is finds order.ErrSoldOut in what wraps it, and
	//workshop:todo errors.As an error of a type. kind makes the Details.
	var soldOut *order.SoldOutError
	var state *order.StateError
	switch {
	case errors.Is(err, order.ErrUnknown):
		return kind(http.StatusGatewayTimeout, "unknown", "No answer came in time, and it may have been done. Ask again in the same way, with the same Idempotency-Key if there was one.")
	case errors.Is(err, order.ErrInvalid):
		return kind(http.StatusUnprocessableEntity, "invalid", faults(err))
	case errors.As(err, &soldOut):
		return kind(http.StatusConflict, "sold-out", fmt.Sprintf("Of %s there are %d left. Order fewer, or something else.", soldOut.Dish, soldOut.Left))
	case errors.Is(err, order.ErrSoldOut):
		return kind(http.StatusConflict, "sold-out", "There is not enough of a dish. Order fewer, or something else.")
	case errors.Is(err, order.ErrDeclined):
		return kind(http.StatusPaymentRequired, "declined", "The payment was declined, and nothing was charged. Order again, and pay by something else.")
	case errors.Is(err, order.ErrNotFound): // and never 403, which would tell that it is there
		return kind(http.StatusNotFound, "not-found", "There is no such order, or it is not yours.")
	case errors.As(err, &state):
		return kind(http.StatusConflict, "state", fmt.Sprintf("The order is %s: this cannot be done any more, or not yet.", state.From))
	case errors.Is(err, order.ErrState):
		return kind(http.StatusConflict, "state", "The order's state does not allow this. Look at the order.")
	case errors.Is(err, order.ErrConflict):
		return kind(http.StatusConflict, "conflict", "It was changed meanwhile, or given up. Look at your orders before you try again.")
	case errors.Is(err, order.ErrUnavailable):
		return kind(http.StatusServiceUnavailable, "unavailable", "This cannot be done at the moment, and nothing was. Try again in a while.")
	}
	return kind(http.StatusInternalServerError, "internal", "Something went wrong here. Try again in a while.")
	//workshop:end
}

// list answers GET /orders?limit=20&state=paid&after=CURSOR, newest first: the
// customer's own, or everybody's to the kitchen. limit is 1 to MaxLimit; next, in
// the answer, is the cursor for the page behind it, and is missing on the last.
func (s *Controllers) list(c *gin.Context) {
	q, fault := query(c.Request.URL.RawQuery)
	if fault != "" {
		problem.Abort(c, kind(http.StatusBadRequest, "malformed", fault))
		return
	}
	q.Customer = whose(c)
	limit := q.Limit
	q.Limit++ // one more tells whether there is a page behind
	orders, err := s.service.List(c.Request.Context(), q)
	if err != nil {
		refuse(c, err)
		return
	}
	var page Page
	if len(orders) > limit {
		orders = orders[:limit]
		last := orders[limit-1]
		page.Next = encodeCursor(order.Cursor{Created: last.Created, ID: last.ID})
	}
	page.Orders = make([]*Order, 0, len(orders)) // an empty list, not null
	for _, o := range orders {
		page.Orders = append(page.Orders, show(o))
	}
	c.Header("Cache-Control", "no-store")
	s.config.Render(c, http.StatusOK, &page)
}

// get answers GET /orders/:id.
func (s *Controllers) get(c *gin.Context) {
	id, ok := orderID(c)
	if !ok {
		return
	}
	o, err := s.service.Get(c.Request.Context(), whose(c), id)
	if err != nil {
		refuse(c, err)
		return
	}
	s.reply(c, http.StatusOK, o)
}

// cancel answers POST /orders/:id/cancel, whose body does not matter.
func (s *Controllers) cancel(c *gin.Context) {
	id, ok := orderID(c)
	if !ok {
		return
	}
	o, err := s.service.Cancel(c.Request.Context(), whose(c), id)
	if err != nil {
		refuse(c, err)
		return
	}
	s.reply(c, http.StatusOK, o)
}

// advance answers POST /orders/:id/advance, whose body is {"to": "preparing"}.
func (s *Controllers) advance(c *gin.Context) {
	var body struct {
		To order.State `json:"to"`
	}
	id, ok := orderID(c)
	if !ok || !bind(c, &body) {
		return
	}
	switch body.To {
	case order.Preparing, order.Dispatched, order.Delivered:
	default: // to cancel has a route of its own, which pays back
		refuse(c, &order.InvalidError{Field: "to", What: "must be preparing, dispatched or delivered"})
		return
	}
	o, err := s.service.Advance(c.Request.Context(), id, body.To)
	if err != nil {
		refuse(c, err)
		return
	}
	s.reply(c, http.StatusOK, o)
}

// whose is the customer whose orders the request is about: its principal, or
// empty, which is everybody, for the kitchen.
func whose(c *gin.Context) string {
	p := request.From(c.Request.Context())
	if p.May(ScopeKitchen) {
		return ""
	}
	if p.Subject == "" {
		return "\x00nobody" // a token without a subject must not be taken for the kitchen
	}
	return p.Subject
}
