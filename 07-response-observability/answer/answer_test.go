package answer_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/solution/compress"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/05-business-logic/solution/webhook"
	"clicktocode.example/07-response-observability/answer"
	"clicktocode.example/07-response-observability/solution/representation"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// stand is chapter 5's API with this package in it, on ports in memory, behind an edge
// that compresses.
type stand struct {
	t      *testing.T
	server *httptest.Server
	tokens map[string]string
	orders *gated
}

// gated is an order.Orders that calls before, unless nil, ahead of each Update.
type gated struct {
	order.Orders
	before func()
}

func (g *gated) Update(ctx context.Context, o order.Order) (order.Order, error) {
	if g.before != nil {
		before := g.before
		g.before = nil // it changes orders itself
		before()
	}
	return g.Orders.Update(ctx, o)
}

func newStand(t *testing.T) *stand {
	key, err := issuer.Open(t.TempDir())
	require.NoError(t, err)
	verifier, err := webhook.New(webhook.Config{Secret: "whsec_of_the_tests"})
	require.NoError(t, err)
	ports := memory.Ports([]order.Dish{{ID: "ramen", Name: "Ramen <& egg>", Price: order.Money{Amount: 1250, Currency: "EUR"}}}, map[string]int{"ramen": 50})
	s := &stand{t: t, tokens: map[string]string{}, orders: &gated{Orders: ports.Orders}}
	ports.Orders = s.orders
	log := slog.New(slog.DiscardHandler)
	service, err := ordering.New(ordering.Config{Ports: ports, Tax: 700, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { _ = service.Close(context.Background()) })
	engine, err := api.New(api.Config{
		Service: service, Menu: ports.Menu, Stock: ports.Stock, Verifier: verifier, Key: key, Log: log,
		Settle: func(context.Context, webhook.Event) error { return nil },
		Render: answer.Render, Produces: answer.Produces, Before: answer.Condition,
	})
	require.NoError(t, err)
	edge, err := compress.New(engine, compress.Config{MinSize: 1})
	require.NoError(t, err)
	s.server = httptest.NewServer(edge)
	t.Cleanup(s.server.Close)
	for who, scopes := range map[string][]string{"ada": {"orders:read", "orders:write"}, "bob": {"orders:read", "orders:write"}, "chef": {"orders:kitchen", "orders:read", "orders:write"}} {
		s.tokens[who], err = key.Sign(who, scopes, time.Hour)
		require.NoError(t, err)
	}
	return s
}

// reply is an answer, and its body, unpacked.
type reply struct {
	*http.Response
	body string
}

// send sends a request in the name of who. Each two of header are a field's name and value.
func (s *stand) send(method, target, who, body string, header ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+target, strings.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer "+s.tokens[who])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := s.server.Client().Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return reply{resp, string(text)}
}

const ramen = `{"lines": [{"dish": "ramen", "quantity": 2}]}`

func (s *stand) place(key string, header ...string) reply {
	s.t.Helper()
	got := s.send("POST", "/orders", "ada", ramen, append(header, "Idempotency-Key", key)...)
	require.Equal(s.t, http.StatusCreated, got.StatusCode, got.body)
	return got
}

// read is what the body of an answer holds.
func read[T any](t *testing.T, got reply) *T {
	t.Helper()
	mediaType, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	v := new(T)
	require.NoError(t, representation.Decode(mediaType, []byte(got.body), v), "%d %q", got.StatusCode, got.body)
	return v
}

func TestForms(t *testing.T) {
	s := newStand(t)
	at := s.place("k1").Header.Get("Location")
	asJSON, asXML := s.send("GET", at, "ada", "", "Accept", "application/json"), s.send("GET", at, "ada", "", "Accept", "application/xml")
	assert.Equal(t, "application/json", asJSON.Header.Get("Content-Type"))
	assert.Equal(t, "application/xml; charset=utf-8", asXML.Header.Get("Content-Type"))
	assert.Equal(t, read[controller.Order](t, asJSON), read[controller.Order](t, asXML), "one order, two forms")
	assert.EqualValues(t, 2675, read[controller.Order](t, asXML).Total.Amount)
	assert.NotEqual(t, asJSON.Header.Get("ETag"), asXML.Header.Get("ETag"))

	s.place("k2")
	asJSON, asXML = s.send("GET", "/orders?limit=1", "ada", ""), s.send("GET", "/orders?limit=1", "ada", "", "Accept", "application/xml")
	page := read[controller.Page](t, asXML)
	assert.Equal(t, read[controller.Page](t, asJSON), page)
	assert.Len(t, page.Orders, 1)
	assert.NotEmpty(t, page.Next)
	assert.Contains(t, asXML.Header.Get("Vary"), "Accept")
	assert.Empty(t, asXML.Header.Get("ETag"), "a list has none")
	assert.Equal(t, "no-store", asXML.Header.Get("Cache-Control"))

	assert.Equal(t, http.StatusNotAcceptable, s.send("GET", at, "ada", "", "Accept", "text/html").StatusCode)
	assert.Equal(t, http.StatusNotAcceptable, s.send("GET", at, "ada", "", "Accept", "application/json;v=2").StatusCode, "the bouncer, who knows no parameters, lets this pass")
	placed := s.place("k3", "Accept", "application/json;v=2")
	assert.Equal(t, "application/json", placed.Header.Get("Content-Type"), "it is placed, and must not be refused")
}

func TestNotModified(t *testing.T) {
	s := newStand(t)
	at := s.place("k1").Header.Get("Location")
	for _, coding := range []string{"gzip", "br", "identity"} {
		first := s.send("GET", at, "ada", "", "Accept-Encoding", coding)
		require.Equal(t, http.StatusOK, first.StatusCode)
		assert.Equal(t, "private, no-cache", first.Header.Get("Cache-Control"))
		tag := first.Header.Get("ETag")
		require.NotEmpty(t, tag)
		again := s.send("GET", at, "ada", "", "Accept-Encoding", coding, "If-None-Match", tag)
		require.Equal(t, http.StatusNotModified, again.StatusCode, "%s: %s", coding, tag)
		assert.Equal(t, tag, again.Header.Get("ETag"))
		assert.Contains(t, again.Header.Get("Vary"), "Accept")
		assert.Equal(t, "private, no-cache", again.Header.Get("Cache-Control"))
		assert.Empty(t, again.Header.Get("Content-Type"))
		assert.Empty(t, again.body)
		assert.Equal(t, http.StatusOK, s.send("GET", at, "ada", "", "Accept-Encoding", coding, "If-None-Match", tag, "Accept", "application/xml").StatusCode, "it has the JSON, and wants the XML")
		assert.Equal(t, http.StatusNotFound, s.send("GET", at, "bob", "", "Accept-Encoding", coding, "If-None-Match", tag).StatusCode, "a condition tells nothing of what may not be seen")
		assert.Equal(t, http.StatusPreconditionFailed, s.send("GET", at, "ada", "", "Accept-Encoding", coding, "If-Match", `"no such"`).StatusCode)
	}
	old := s.send("GET", at, "ada", "", "Accept-Encoding", "gzip").Header.Get("ETag")
	require.Equal(t, http.StatusOK, s.send("POST", at+"/cancel", "ada", "").StatusCode)
	assert.Equal(t, http.StatusOK, s.send("GET", at, "ada", "", "Accept-Encoding", "gzip", "If-None-Match", old).StatusCode)
}

func TestCondition(t *testing.T) {
	t.Run("a_step_is_taken_of_what_was_seen", func(t *testing.T) {
		s := newStand(t)
		placed := s.place("k1", "Accept-Encoding", "gzip")
		at, tag := placed.Header.Get("Location"), placed.Header.Get("ETag")
		assert.Equal(t, at, placed.Header.Get("Content-Location"))
		require.Regexp(t, `-gzip"$`, tag)
		advanced := s.send("POST", at+"/advance", "chef", `{"to": "preparing"}`, "If-Match", tag, "Accept", "application/xml")
		require.Equal(t, http.StatusOK, advanced.StatusCode, "whatever form was seen: %s", advanced.body)
		assert.Equal(t, at, advanced.Header.Get("Content-Location"))
		require.Equal(t, http.StatusOK, s.send("POST", at+"/advance", "chef", `{"to": "dispatched"}`, "If-Match", advanced.Header.Get("ETag")).StatusCode, "the answer's own tag is that of the order as it is then")
	})

	t.Run("a_step_is_not_taken_of_what_was_not_seen", func(t *testing.T) {
		s := newStand(t)
		placed := s.place("k1")
		at, tag := placed.Header.Get("Location"), placed.Header.Get("ETag")
		for _, header := range [][]string{{"If-Match", `"0-application/json"`}, {"If-Match", "W/" + tag}, {"If-None-Match", tag}, {"If-None-Match", "*"}} {
			got := s.send("POST", at+"/cancel", "ada", "", header...)
			require.Equal(t, http.StatusPreconditionFailed, got.StatusCode, "%q: %s", header, got.body)
			var p struct{ Type string }
			require.NoError(t, json.Unmarshal([]byte(got.body), &p))
			assert.Equal(t, "https://shop.test/problems/condition", p.Type)
		}
		assert.Equal(t, http.StatusNotFound, s.send("POST", at+"/cancel", "bob", "", "If-Match", `"0"`).StatusCode)
		assert.Equal(t, order.Paid, read[controller.Order](t, s.send("GET", at, "ada", "")).State)
		assert.Equal(t, http.StatusOK, s.send("POST", at+"/cancel", "ada", "", "If-Match", tag).StatusCode)
		assert.Equal(t, http.StatusPreconditionFailed, s.send("POST", at+"/cancel", "ada", "", "If-Match", tag).StatusCode, "it is done, and what was seen is no more")
	})

	t.Run("a_change_in_between_counts", func(t *testing.T) {
		s := newStand(t)
		placed := s.place("k1")
		at, tag := placed.Header.Get("Location"), placed.Header.Get("ETag")
		s.orders.before = func() { // after the condition was looked at
			got := s.send("POST", at+"/advance", "chef", `{"to": "preparing"}`, "If-Match", tag)
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
		}
		assert.Equal(t, http.StatusPreconditionFailed, s.send("POST", at+"/advance", "chef", `{"to": "preparing"}`, "If-Match", tag).StatusCode)
	})

	t.Run("of_many_at_once_one_is_let_through", func(t *testing.T) {
		s := newStand(t)
		placed := s.place("k1")
		at, tag := placed.Header.Get("Location"), placed.Header.Get("ETag")
		counts := map[int]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got := s.send("POST", at+"/advance", "chef", `{"to": "preparing"}`, "If-Match", tag)
				mu.Lock()
				defer mu.Unlock()
				counts[got.StatusCode]++
			})
		}
		wg.Wait()
		assert.Equal(t, map[int]int{200: 1, 412: 7}, counts)
	})
}
