package apitest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	stripe "github.com/stripe/stripe-go/v85/webhook"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/solution/webhook"
)

// Dishes are on the menu, and Stock is what there is of them. Of tofu there is none.
var (
	Dishes = []order.Dish{
		{ID: "ramen", Name: "Ramen with egg", Price: order.Money{Amount: 1250, Currency: "EUR"}},
		{ID: "gyoza", Name: "Gyoza, six of them", Price: order.Money{Amount: 680, Currency: "EUR"}},
		{ID: "tea", Name: "Pot of green tea", Price: order.Money{Amount: 450, Currency: "EUR"}},
		{ID: "tofu", Name: "Tofu, crisp", Price: order.Money{Amount: 590, Currency: "EUR"}},
	}
	Stock = map[string]int{"ramen": 120, "gyoza": 40, "tea": 1000}
)

const (
	Secret  = "whsec_of_the_tests"   // of Stripe's events
	Origin  = "https://partner.test" // its scripts may use the API
	Ramen   = `{"lines": [{"dish": "ramen", "quantity": 1}]}`
	Problem = "application/problem+json"
	// Unknown is a payment method whose charge nobody knows the outcome of.
	Unknown = "pm_card_unknown"
)

// Shop is the order service, on ports in memory. Where Err is set, each call fails by
// it; where Panics is, they panic; where Stuck is, they wait for the end.
type Shop struct {
	*ordering.Service
	Menu   order.Menu
	Err    error
	Panics bool
	Stuck  bool
}

func (s *Shop) fault(ctx context.Context) error {
	if s.Panics {
		panic("db-3: connection lost")
	}
	if s.Stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Err
}

func (s *Shop) Place(ctx context.Context, r order.Request) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Place(ctx, r)
}

func (s *Shop) Get(ctx context.Context, customer, id string) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Get(ctx, customer, id)
}

func (s *Shop) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return nil, err
	}
	return s.Service.List(ctx, q)
}

func (s *Shop) Cancel(ctx context.Context, customer, id string) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Cancel(ctx, customer, id)
}

func (s *Shop) Advance(ctx context.Context, id string, to order.State) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Advance(ctx, id, to)
}

// Dishes is the menu's, unless there is a fault.
func (s *Shop) Dishes(ctx context.Context) ([]order.Dish, error) {
	if err := s.fault(ctx); err != nil {
		return nil, err
	}
	return s.Menu.Dishes(ctx)
}

// Stand is an engine, with a shop behind it.
type Stand struct {
	Shop    *Shop
	Settled []string                                   // IDs of events, in their order
	Settle  func(context.Context, webhook.Event) error // unless nil
	Log     *Log
	Engine  *gin.Engine
	Close   func()            // may be called twice
	Ask     http.RoundTripper // asks the engine, and holds all against the document

	t testing.TB
	*Contract
}

var (
	keyOnce sync.Once
	theKey  *issuer.Key
)

// key is one for all tests: to make one takes files.
func key(t testing.TB) *issuer.Key {
	t.Helper()
	keyOnce.Do(func() {
		var err error
		theKey, err = issuer.Open(t.TempDir())
		require.NoError(t, err)
	})
	require.NotNil(t, theKey)
	return theKey
}

// NewStand returns a Stand whose answers c checks. with changes its Config. It is
// closed when the test ends.
func NewStand(t testing.TB, c *Contract, with ...func(*api.Config)) *Stand {
	t.Helper()
	verifier, err := webhook.New(webhook.Config{Secret: Secret})
	require.NoError(t, err)
	s := &Stand{t: t, Log: new(Log), Contract: c}
	log := slog.New(slog.NewJSONHandler(s.Log, nil))
	ports := memory.Ports(Dishes, Stock)
	ports.Orders, ports.Payments = picky{ports.Orders}, tills{ports.Payments}
	service, err := ordering.New(ordering.Config{Ports: ports, Tax: 1900, Log: log})
	require.NoError(t, err)
	s.Close = func() { _ = service.Close(context.Background()) }
	t.Cleanup(s.Close)
	s.Shop = &Shop{Service: service, Menu: ports.Menu}
	config := api.Config{
		Service: s.Shop, Menu: s.Shop, Stock: ports.Stock, Verifier: verifier, Key: key(t), Origins: []string{Origin},
		Settle: func(ctx context.Context, e webhook.Event) error {
			if s.Settle != nil {
				return s.Settle(ctx, e)
			}
			s.Settled = append(s.Settled, e.ID)
			return nil
		},
		RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1},
		Log:       log,
	}
	for _, change := range with {
		change(&config)
	}
	s.Engine, err = api.New(config)
	require.NoError(t, err)
	s.Ask = checked{t, c, Inside(s.Engine)}
	return s
}

// Send sends a request, as NewRequest makes it, and returns the answer with its body.
func (s *Stand) Send(method, target, token, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	return s.SendIn(s.t.Context(), method, target, token, body, header...)
}

// SendIn is Send in a context.
func (s *Stand) SendIn(ctx context.Context, method, target, token, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	answer, err := s.Ask.RoundTrip(NewRequest(ctx, s.t, method, target, token, body, header...))
	require.NoError(s.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, string(text)
}

// NewRequest returns a request by token's bearer, unless it is empty. A body is JSON.
// Each two of header are a field's name and value.
func NewRequest(ctx context.Context, t testing.TB, method, target, token, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://shop.test"+target, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// Place places an order of a ramen, in the name of token's bearer, and returns its ID.
func (s *Stand) Place(token, key string) string {
	s.t.Helper()
	answer, text := s.Send("POST", "/orders", token, Ramen, "Idempotency-Key", key)
	require.Equal(s.t, http.StatusCreated, answer.StatusCode, text)
	return strings.TrimPrefix(answer.Header.Get("Location"), "/orders/")
}

// tills are payments, but for Unknown.
type tills struct{ order.Payments }

func (p tills) Charge(ctx context.Context, c order.Charge) (string, error) {
	if c.Method == Unknown {
		return "", order.ErrUnknown
	}
	return p.Payments.Charge(ctx, c)
}

// picky is an order.Orders that refuses what PostgreSQL's text cannot hold: octets
// that are no UTF-8, and U+0000. What gets there is a 500 in chapter 6.
type picky struct{ order.Orders }

func refused(texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			return fmt.Errorf("db-3: invalid byte sequence for encoding UTF8: %q", s)
		}
	}
	return nil
}

func (p picky) Create(ctx context.Context, o order.Order) error {
	if err := refused(o.ID, o.Customer, o.Method, o.Payment); err != nil {
		return err
	}
	return p.Orders.Create(ctx, o)
}

func (p picky) Get(ctx context.Context, id string) (order.Order, error) {
	if err := refused(id); err != nil {
		return order.Order{}, err
	}
	return p.Orders.Get(ctx, id)
}

func (p picky) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	if err := refused(q.Customer, q.After.ID); err != nil {
		return nil, err
	}
	return p.Orders.List(ctx, q)
}

// Event is one as Stripe sends it, and signature its Stripe-Signature.
func Event(id string) (payload, signature string) {
	payload = `{"id": "` + id + `", "object": "event", "type": "payment_intent.succeeded", "created": 1777658400, "livemode": false, "data": {"object": {"id": "pi_1", "object": "payment_intent"}}}`
	return payload, Sign(payload, time.Now())
}

// Sign is the Stripe-Signature of payload, which was signed at that time.
func Sign(payload string, at time.Time) string {
	return stripe.GenerateTestSignedPayload(&stripe.UnsignedPayload{Payload: []byte(payload), Secret: Secret, Timestamp: at}).Header
}

// Inside is a RoundTripper that asks h without a network.
func Inside(h http.Handler) http.RoundTripper { return inside{h} }

type inside struct{ http.Handler }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "192.0.2.1:4711", r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	i.ServeHTTP(rec, in)
	answer := rec.Result()
	if r.Method == http.MethodHead {
		answer.Body = http.NoBody // as net/http has it
	}
	return answer, nil
}

// Log is what was logged. It is an io.Writer for many goroutines.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
