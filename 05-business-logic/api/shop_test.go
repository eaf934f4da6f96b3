package api_test

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

// dishes are on the menu, and stock is what there is of them. Of tofu there is none.
var (
	dishes = []order.Dish{
		{ID: "ramen", Name: "Ramen with egg", Price: order.Money{Amount: 1250, Currency: "EUR"}},
		{ID: "gyoza", Name: "Gyoza, six of them", Price: order.Money{Amount: 680, Currency: "EUR"}},
		{ID: "tea", Name: "Pot of green tea", Price: order.Money{Amount: 450, Currency: "EUR"}},
		{ID: "tofu", Name: "Tofu, crisp", Price: order.Money{Amount: 590, Currency: "EUR"}},
	}
	stock = map[string]int{"ramen": 120, "gyoza": 40, "tea": 1000}
)

const (
	secret  = "whsec_of_the_tests"
	origin  = "https://partner.test"
	ramen   = `{"lines": [{"dish": "ramen", "quantity": 1}]}`
	problem = "application/problem+json"
)

// shop is the order service, on ports in memory. Where err is set, each call fails by
// it; where panics is, they panic; where stuck is, they wait for the end.
type shop struct {
	*ordering.Service
	menu   order.Menu
	err    error
	panics bool
	stuck  bool
}

func (s *shop) fault(ctx context.Context) error {
	if s.panics {
		panic("db-3: connection lost")
	}
	if s.stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.err
}

func (s *shop) Place(ctx context.Context, r order.Request) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Place(ctx, r)
}

func (s *shop) Get(ctx context.Context, customer, id string) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Get(ctx, customer, id)
}

func (s *shop) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return nil, err
	}
	return s.Service.List(ctx, q)
}

func (s *shop) Cancel(ctx context.Context, customer, id string) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Cancel(ctx, customer, id)
}

func (s *shop) Advance(ctx context.Context, id string, to order.State) (order.Order, error) {
	if err := s.fault(ctx); err != nil {
		return order.Order{}, err
	}
	return s.Service.Advance(ctx, id, to)
}

// Dishes is the menu's, unless there is a fault.
func (s *shop) Dishes(ctx context.Context) ([]order.Dish, error) {
	if err := s.fault(ctx); err != nil {
		return nil, err
	}
	return s.menu.Dishes(ctx)
}

// stand is an engine, with a shop behind it.
type stand struct {
	t       testing.TB
	shop    *shop
	settled []string                                   // IDs of events, in their order
	settle  func(context.Context, webhook.Event) error // unless nil
	log     *buffer
	engine  *gin.Engine
	close   func()            // may be called twice
	ask     http.RoundTripper // asks the engine, and holds all against the document
	*contract
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

// newStand returns a stand whose answers c checks. with changes its Config.
func newStand(t testing.TB, c *contract, with ...func(*api.Config)) *stand {
	t.Helper()
	verifier, err := webhook.New(webhook.Config{Secret: secret})
	require.NoError(t, err)
	s := &stand{t: t, log: new(buffer), contract: c}
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	ports := memory.Ports(dishes, stock)
	ports.Orders, ports.Payments = picky{ports.Orders}, tills{ports.Payments}
	service, err := ordering.New(ordering.Config{Ports: ports, Tax: 1900, Log: log})
	require.NoError(t, err)
	s.close = func() { _ = service.Close(context.Background()) }
	t.Cleanup(s.close)
	s.shop = &shop{Service: service, menu: ports.Menu}
	config := api.Config{
		Service: s.shop, Menu: s.shop, Stock: ports.Stock, Verifier: verifier, Key: key(t), Origins: []string{origin},
		Settle: func(ctx context.Context, e webhook.Event) error {
			if s.settle != nil {
				return s.settle(ctx, e)
			}
			s.settled = append(s.settled, e.ID)
			return nil
		},
		RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1},
		Log:       log,
	}
	for _, change := range with {
		change(&config)
	}
	s.engine, err = api.New(config)
	require.NoError(t, err)
	s.ask = checked{t, c, inside{s.engine}}
	return s
}

// send sends a request to the stand. Each two of header are a field's name and value.
func (s *stand) send(method, target, token, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	return s.sendIn(s.t.Context(), method, target, token, body, header...)
}

func (s *stand) sendIn(ctx context.Context, method, target, token, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	answer, err := s.ask.RoundTrip(newRequest(s.t, ctx, method, target, token, body, header...))
	require.NoError(s.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, string(text)
}

func newRequest(t testing.TB, ctx context.Context, method, target, token, body string, header ...string) *http.Request {
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

// place places an order of a ramen, in the name of token's bearer, and returns its ID.
func (s *stand) place(token, key string) string {
	s.t.Helper()
	answer, text := s.send("POST", "/orders", token, ramen, "Idempotency-Key", key)
	require.Equal(s.t, http.StatusCreated, answer.StatusCode, text)
	return strings.TrimPrefix(answer.Header.Get("Location"), "/orders/")
}

// unknown is a payment method whose charge nobody knows the outcome of.
const unknown = "pm_card_unknown"

// tills are payments, but for unknown.
type tills struct{ order.Payments }

func (p tills) Charge(ctx context.Context, c order.Charge) (string, error) {
	if c.Method == unknown {
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

// event is one as Stripe sends it, and signature its Stripe-Signature.
func event(id string) (payload, signature string) {
	payload = `{"id": "` + id + `", "object": "event", "type": "payment_intent.succeeded", "created": 1777658400, "livemode": false, "data": {"object": {"id": "pi_1", "object": "payment_intent"}}}`
	return payload, sign(payload, time.Now())
}

func sign(payload string, at time.Time) string {
	return stripe.GenerateTestSignedPayload(&stripe.UnsignedPayload{Payload: []byte(payload), Secret: secret, Timestamp: at}).Header
}

// inside is a RoundTripper that asks an engine without a network.
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

// buffer is a bytes.Buffer for many.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
