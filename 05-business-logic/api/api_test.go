package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/requestid"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/apitest"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/05-business-logic/solution/idempotency"
	"clicktocode.example/05-business-logic/solution/webhook"
)

func TestNew(t *testing.T) {
	_, err := api.New(api.Config{Origins: []string{"shop.test"}, RateLimit: ratelimit.Config{Rate: -1, Burst: 1}})
	require.Error(t, err)
	for _, fault := range []string{"no Service", "no Menu", "no Verifier", "no Settle", "no Key", "cors: origin", "ratelimit: Rate"} {
		assert.Contains(t, err.Error(), fault)
	}
}

// Every answer that the document describes can be had, and is had here. That each is
// as described, the contract checks.
func TestEveryAnswer(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	id := s.Place(c.Ada, "k1")
	status := func(want int, method, target, token, body string, header ...string) {
		t.Helper()
		answer, text := s.Send(method, target, token, body, header...)
		require.Equal(t, want, answer.StatusCode, "%s %s %s %q: %s", method, target, body, header, text)
	}

	// Those that are the same on all routes.
	payload, signature := apitest.Event("evt_0")
	for _, route := range []struct {
		method, target, token, body string
		header                      []string
		slow                        int // what a deadline that is over is, where anything is waited for
	}{
		{"GET", "/menu", "", "", nil, 503},
		{"HEAD", "/menu", "", "", nil, 503},
		{"GET", "/openapi.json", "", "", nil, 0},
		{"HEAD", "/openapi.json", "", "", nil, 0},
		{"POST", "/session", "", "", nil, 0},
		{"POST", "/orders", c.Ada, apitest.Ramen, []string{"Idempotency-Key", "k2"}, 504},
		{"GET", "/orders", c.Ada, "", nil, 504},
		{"GET", "/orders/" + id, c.Ada, "", nil, 504},
		{"POST", "/orders/" + id + "/cancel", c.Ada, "", nil, 504},
		{"POST", "/orders/" + id + "/advance", c.Chef, `{"to": "preparing"}`, nil, 504},
		{"POST", "/webhooks/stripe", "", payload, []string{"Stripe-Signature", signature}, 503},
	} {
		with := func(name, value string) []string { return append(slices.Clone(route.header), name, value) }
		status(401, route.method, route.target, "eyJ", route.body, route.header...)
		if route.token != "" {
			status(401, route.method, route.target, "", route.body, route.header...)
			status(403, route.method, route.target, c.Nobody, route.body, route.header...)
		}
		status(406, route.method, route.target, route.token, route.body, with("Accept", "text/html")...)
		status(413, route.method, route.target, route.token, strings.Repeat(" ", api.MaxBody+1), route.header...)
		status(415, route.method, route.target, route.token, `{}`, with("Content-Encoding", "gzip")...)
		status(415, route.method, route.target, route.token, `{}`, with("Content-Type", "text/plain")...) // two lines
		if route.slow != 0 {
			s.Shop.Panics, s.Settle = true, func(context.Context, webhook.Event) error { panic("db-3") }
			status(500, route.method, route.target, route.token, route.body, route.header...)
			s.Shop.Panics, s.Shop.Stuck = false, true
			s.Settle = func(ctx context.Context, _ webhook.Event) error { <-ctx.Done(); return ctx.Err() }
			late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			answer, text := s.SendIn(late, route.method, route.target, route.token, route.body, route.header...)
			cancel()
			require.Equal(t, route.slow, answer.StatusCode, "%s %s: %s", route.method, route.target, text)
			s.Shop.Stuck, s.Shop.Err = false, fmt.Errorf("db-3: %w", order.ErrUnavailable)
			s.Settle = func(context.Context, webhook.Event) error { return s.Shop.Err }
			status(503, route.method, route.target, route.token, route.body, route.header...)
			if route.token != "" {
				s.Shop.Err = errors.New("db-3")
				status(500, route.method, route.target, route.token, route.body, route.header...)
			}
			s.Shop.Err, s.Settle = nil, nil
		}
		all := s
		s = apitest.NewStand(t, c, func(c *api.Config) { c.RateLimit = ratelimit.Config{Rate: 1e-3, Burst: 1} })
		status(404, "GET", "/", "", "")
		status(429, route.method, route.target, route.token, route.body, route.header...)
		s = all
	}

	// What can be kept.
	for _, target := range []string{"/menu", "/openapi.json"} {
		for _, method := range []string{"GET", "HEAD"} {
			answer, _ := s.Send(method, target, "", "")
			require.Equal(t, 200, answer.StatusCode)
			status(304, method, target, "", "", "If-None-Match", answer.Header.Get("ETag"))
			status(412, method, target, "", "", "If-Match", `"0"`)
		}
	}
	status(201, "POST", "/session", "", "")

	// Placing orders.
	status(201, "POST", "/orders", c.Ada, apitest.Ramen, "Idempotency-Key", "k1")
	status(400, "POST", "/orders", c.Ada, apitest.Ramen)
	status(400, "POST", "/orders", c.Ada, `{}x`, "Idempotency-Key", "k3")
	declined := `{"lines": [{"dish": "tea", "quantity": 1}], "payment_method": "` + memory.Declined + `"}`
	for range 2 {
		status(402, "POST", "/orders", c.Ada, declined, "Idempotency-Key", "k4")
		status(409, "POST", "/orders", c.Ada, `{"lines": [{"dish": "tofu", "quantity": 1}]}`, "Idempotency-Key", "k5")
	}
	status(422, "POST", "/orders", c.Ada, `{"lines": []}`, "Idempotency-Key", "k6")
	status(422, "POST", "/orders", c.Ada, apitest.Ramen, "Idempotency-Key", "k4")
	status(202, "POST", "/orders", c.Ada, `{"lines": [{"dish": "tea", "quantity": 1}], "payment_method": "`+apitest.Unknown+`"}`, "Idempotency-Key", "k7")
	for characters, want := range map[int]int{order.MaxMethod: 201, order.MaxMethod + 1: 422} {
		status(want, "POST", "/orders", c.Ada, `{"lines": [{"dish": "tea", "quantity": 1}], "payment_method": "`+strings.Repeat("é", characters)+`"}`, "Idempotency-Key", fmt.Sprint("long-", characters))
	}

	// Looking at them, and what becomes of them.
	status(200, "GET", "/orders?limit=1&state=paid", c.Ada, "")
	status(400, "GET", "/orders?limit=0", c.Ada, "")
	status(400, "GET", "/orders?after=MTcu", c.Ada, "")
	status(400, "GET", "/orders?stat=paid", c.Ada, "")
	status(200, "GET", "/orders/"+id, c.Ada, "")
	status(404, "GET", "/orders/"+id, c.Bob, "")
	status(404, "POST", "/orders/"+id+"/cancel", c.Bob, "")
	status(404, "POST", "/orders/17/advance", c.Chef, `{"to": "preparing"}`)
	status(200, "POST", "/orders/"+id+"/advance", c.Chef, `{"to": "preparing"}`)
	status(400, "POST", "/orders/"+id+"/advance", c.Chef, `{"to": 7}`)
	status(409, "POST", "/orders/"+id+"/advance", c.Chef, `{"to": "delivered"}`)
	status(422, "POST", "/orders/"+id+"/advance", c.Chef, `{"to": "cancelled"}`)
	status(409, "POST", "/orders/"+id+"/cancel", c.Ada, "")
	status(200, "POST", "/orders/"+s.Place(c.Ada, "k8")+"/cancel", c.Chef, "")

	// Payments' events.
	for range 2 {
		status(200, "POST", "/webhooks/stripe", "", payload, "Stripe-Signature", signature)
	}
	status(400, "POST", "/webhooks/stripe", "", payload)

	assert.ElementsMatch(t, c.Described(), slices.Collect(maps.Keys(c.Seen())), "what the document describes, and what was seen")
}

func TestWhatIsNotDescribed(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	for _, row := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/", 404}, {"GET", "/orders/", 404}, {"GET", "/orders/17/lines", 404}, {"POST", "/webhooks", 404}, {"GET", "/menu/", 404},
		{"PUT", "/menu", 405}, {"DELETE", "/orders/17", 405}, {"GET", "/session", 405}, {"OPTIONS", "/orders", 405}, {"HEAD", "/orders", 405},
	} {
		answer, _ := s.Send(row.method, row.target, c.Chef, "")
		assert.Equal(t, row.status, answer.StatusCode, "%s %s", row.method, row.target)
	}
	ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,idempotency-key,if-match,if-none-match"}
	answer, _ := s.Send("OPTIONS", "/orders", "", "", append(ask, "Origin", apitest.Origin)...)
	assert.Equal(t, 204, answer.StatusCode)
	answer, _ = s.Send("OPTIONS", "/orders", "", "", append(ask, "Origin", "https://evil.test")...)
	assert.Equal(t, 403, answer.StatusCode)
	answer, _ = s.Send("GET", "/menu", "", "", "Origin", apitest.Origin)
	assert.Equal(t, apitest.Origin, answer.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, strings.Split(answer.Header.Get("Access-Control-Expose-Headers"), ","), "ETag", "or a script has nothing to put into If-None-Match")
}

// Each route is described, and each description has its route.
func TestRoutes(t *testing.T) {
	c := apitest.New(t, api.Document())
	var routes, described []string
	param := regexp.MustCompile(`:(\w+)`)
	for _, r := range apitest.NewStand(t, c).Engine.Routes() {
		if r.Path == "/healthz" {
			continue // for those who run this, and not to be reached from outside
		}
		routes = append(routes, r.Method+" "+param.ReplaceAllString(r.Path, "{$1}"))
		assert.True(t, slices.ContainsFunc(api.Prefixes, func(p string) bool { return r.Path == p || strings.HasPrefix(r.Path, p+"/") }), "%s is below none of Prefixes", r.Path)
	}
	for path, item := range c.Asked.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	assert.ElementsMatch(t, routes, described)
}

// What the document says of bounds, patterns and names is what the code has.
func TestBounds(t *testing.T) {
	doc := apitest.Load(t, api.Document())
	placing, item := doc.Components.Schemas["Placing"].Value, doc.Components.Schemas["Item"].Value
	assert.EqualValues(t, order.MaxLines, *placing.Properties["lines"].Value.MaxItems)
	assert.EqualValues(t, order.MaxQuantity, *item.Properties["quantity"].Value.Max)
	for _, of := range []string{"Order", "Line"} { // what an order was made of, it has
		s := doc.Components.Schemas[of].Value
		if of == "Order" {
			assert.EqualValues(t, order.MaxLines, *s.Properties["lines"].Value.MaxItems)
		} else {
			assert.EqualValues(t, order.MaxQuantity, *s.Properties["quantity"].Value.Max)
		}
	}
	limit := doc.Paths.Find("/orders").Get.Parameters.GetByInAndName("query", "limit").Schema.Value
	assert.EqualValues(t, controller.MaxLimit, *limit.Max)
	assert.EqualValues(t, controller.DefaultLimit, limit.Default)
	assert.EqualValues(t, controller.MaxLimit, *doc.Components.Schemas["Page"].Value.Properties["orders"].Value.MaxItems)

	var states []any
	for _, s := range order.States() {
		states = append(states, string(s))
	}
	assert.Equal(t, states, doc.Components.Schemas["State"].Value.Enum)

	key := regexp.MustCompile(doc.Components.Parameters["IdempotencyKey"].Value.Schema.Value.Pattern)
	keys := []string{"", `""`, `"`, `"a`, `a"`, strings.Repeat("k", idempotency.MaxKey), strings.Repeat("k", idempotency.MaxKey+1), `"` + strings.Repeat("k", idempotency.MaxKey) + `"`, `"` + strings.Repeat("k", idempotency.MaxKey+1) + `"`}
	for b := range 256 {
		keys = append(keys, "a"+string([]byte{byte(b)})+"b", `"a`+string([]byte{byte(b)})+`"`)
	}
	for _, k := range keys {
		_, err := idempotency.Parse([]string{k})
		assert.Equal(t, err == nil, key.MatchString(k), "the pattern of Idempotency-Key, on %q", k)
	}
	ids := regexp.MustCompile(doc.Components.Schemas["Problem"].Value.Properties["instance"].Value.Pattern)
	for b := range 256 {
		text := "a" + string([]byte{byte(b)})
		assert.Equal(t, requestid.Sane(text), ids.MatchString(text), "the pattern of a request's ID, on %q", text)
	}
	assert.True(t, ids.MatchString(strings.Repeat("a", requestid.MaxLength)))
	assert.False(t, ids.MatchString(strings.Repeat("a", requestid.MaxLength+1)))

	assert.Contains(t, doc.Components.Headers["MenuCaching"].Value.Schema.Value.Enum[0], fmt.Sprintf("max-age=%d,", int(api.MenuTime.Seconds())))
	for _, text := range []string{doc.Info.Description, *doc.Components.Responses["TooLarge"].Value.Description} {
		assert.Contains(t, text, fmt.Sprintf("%d octets", api.MaxBody))
	}
	token := doc.Components.SecuritySchemes["token"].Value.Description
	assert.Contains(t, token, fmt.Sprintf("%d octets", authenticate.MaxLength))
	for _, scope := range []string{controller.ScopeRead, controller.ScopeWrite, controller.ScopeKitchen} {
		assert.Contains(t, token, scope)
	}
	for _, scope := range guest.Scopes {
		assert.Contains(t, *doc.Paths.Find("/session").Post.Responses.Status(201).Value.Description, scope)
	}
	assert.Contains(t, string(api.Document()), `"`+idempotency.Replayed+`"`)
}

func TestMenu(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	answer, text := s.Send("GET", "/menu", "", "")
	assert.Equal(t, "application/json", answer.Header.Get("Content-Type"))
	var menu struct {
		Dishes []struct {
			order.Dish
			Left *int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &menu))
	require.Len(t, menu.Dishes, len(apitest.Dishes))
	for i, d := range menu.Dishes {
		assert.Equal(t, apitest.Dishes[i], d.Dish)
		require.NotNil(t, d.Left, d.ID)
		assert.Equal(t, apitest.Stock[d.ID], *d.Left, d.ID)
	}

	t.Run("changes_its_tag_with_what_is_left", func(t *testing.T) {
		s.Place(c.Ada, "k1")
		now, _ := s.Send("GET", "/menu", "", "", "If-None-Match", answer.Header.Get("ETag"))
		assert.Equal(t, 200, now.StatusCode)
		assert.NotEqual(t, answer.Header.Get("ETag"), now.Header.Get("ETag"))
	})
	t.Run("reads_lists_of_tags", func(t *testing.T) {
		now, _ := s.Send("GET", "/menu", "", "")
		tag := now.Header.Get("ETag")
		for value, has := range map[string]bool{
			`*`: true, tag: true, `"x", ` + tag: true, `W/` + tag: true, `"a,b",` + tag: true, `W/"x" , W/` + tag: true, `,,` + tag: true,
			``: false, `"`: false, `W/`: false, strings.Trim(tag, `"`): false, `"x` + strings.Trim(tag, `"`) + `"`: false, `"*"`: false, `*, ` + tag: false,
		} {
			none, _ := s.Send("GET", "/menu", "", "", "If-None-Match", value)
			assert.Equal(t, has, none.StatusCode == 304, "If-None-Match: %s", value)
			match, _ := s.Send("GET", "/menu", "", "", "If-Match", value)
			assert.Equal(t, has && !strings.Contains(value, "W/"+tag), match.StatusCode == 200, "If-Match: %s", value)
		}
		none, _ := s.Send("GET", "/menu", "", "", "If-None-Match", `"x"`, "If-None-Match", tag)
		assert.Equal(t, 304, none.StatusCode, "two lines")
	})
	t.Run("says_the_length_of_what_a_HEAD_leaves_out", func(t *testing.T) {
		get, text := s.Send("GET", "/menu", "", "")
		head, none := s.Send("HEAD", "/menu", "", "")
		assert.Empty(t, none)
		assert.Equal(t, fmt.Sprint(len(text)), head.Header.Get("Content-Length"))
		assert.Equal(t, get.Header.Get("ETag"), head.Header.Get("ETag"))
	})
	t.Run("has_no_numbers_without_a_stock", func(t *testing.T) {
		bare := apitest.NewStand(t, c, func(c *api.Config) { c.Stock = nil })
		_, text := bare.Send("GET", "/menu", "", "")
		assert.NotContains(t, text, "left")
		assert.Contains(t, text, "ramen")
	})
	t.Run("has_none_where_the_stock_fails_either", func(t *testing.T) {
		failing := apitest.NewStand(t, c, func(c *api.Config) { c.Stock = blind{c.Stock} })
		answer, text := failing.Send("GET", "/menu", "", "")
		assert.Equal(t, 200, answer.StatusCode)
		assert.NotContains(t, text, "left")
		assert.Contains(t, failing.Log.String(), "db-3 is away")
	})
	t.Run("is_a_list_where_nothing_is_sold", func(t *testing.T) {
		empty := apitest.NewStand(t, c, func(c *api.Config) { c.Menu = memory.NewMenu(nil) })
		_, text := empty.Send("GET", "/menu", "", "")
		assert.JSONEq(t, `{"dishes": []}`, text)
	})
}

// blind is a stock that cannot be asked.
type blind struct{ order.Stock }

func (blind) Left(context.Context) (map[string]int, error) {
	return map[string]int{"ramen": 1}, errors.New("db-3 is away")
}

// What the shop's page does, in its own words: see 03-reverse-proxy/shop/page.
func TestPage(t *testing.T) {
	s := apitest.NewStand(t, apitest.New(t, api.Document()))
	_, text := s.Send("GET", "/menu", "", "")
	var menu struct{ Dishes []order.Dish }
	require.NoError(t, json.Unmarshal([]byte(text), &menu))
	first := fmt.Sprintf(`{"lines":[{"dish":%q,"quantity":1}]}`, menu.Dishes[0].ID)
	answer, _ := s.Send("POST", "/orders", "", first, "Idempotency-Key", "8e03978e")
	require.Equal(t, 401, answer.StatusCode, "then it asks for a token")
	_, text = s.Send("POST", "/session", "", "")
	var session struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(text), &session))
	s.Tokens[session.Token] = guest.Scopes
	for _, replayed := range []string{"", "true"} {
		answer, text = s.Send("POST", "/orders", session.Token, first, "Idempotency-Key", "8e03978e")
		require.Equal(t, 201, answer.StatusCode, text)
		assert.Equal(t, replayed, answer.Header.Get(idempotency.Replayed))
	}
	var placed struct {
		ID    string
		Total order.Money
	}
	require.NoError(t, json.Unmarshal([]byte(text), &placed))
	assert.Equal(t, order.Money{Amount: 1488, Currency: "EUR"}, placed.Total)
	_, text = s.Send("GET", "/orders", session.Token, "")
	assert.Equal(t, 1, strings.Count(text, placed.ID))
}

func TestPages(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	var want []string
	for i := range 7 {
		want = append(want, s.Place(c.Ada, fmt.Sprint("k", i)))
	}
	s.Place(c.Bob, "k0")
	slices.Reverse(want)
	var got []string
	for target := "/orders?limit=3"; target != ""; {
		_, text := s.Send("GET", target, c.Ada, "")
		var page struct {
			Orders []struct{ ID string }
			Next   string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &page))
		for _, o := range page.Orders {
			got = append(got, o.ID)
		}
		if target = ""; page.Next != "" {
			target = "/orders?limit=3&after=" + page.Next
		}
		require.Less(t, len(got), 20)
	}
	assert.Equal(t, want, got)
	_, text := s.Send("GET", "/orders", c.Chef, "")
	assert.Equal(t, 8, strings.Count(text, `"created"`), "the kitchen sees everybody's")
}

func TestEvents(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	tell := func(payload, signature string, header ...string) int {
		answer, _ := s.Send("POST", "/webhooks/stripe", "", payload, append(header, "Stripe-Signature", signature)...)
		return answer.StatusCode
	}
	t.Run("are_settled_once", func(t *testing.T) {
		payload, signature := apitest.Event("evt_1")
		assert.Equal(t, 200, tell(payload, signature))
		assert.Equal(t, 200, tell(payload, signature))
		assert.Equal(t, []string{"evt_1"}, s.Settled)
	})
	t.Run("come_with_Stripe's_own_fields", func(t *testing.T) {
		payload, signature := apitest.Event("evt_2")
		answer, text := s.Send("POST", "/webhooks/stripe", "", "", "Accept", "*/*; q=0.5, application/xml")
		assert.Equal(t, 400, answer.StatusCode, text)
		r := apitest.NewRequest(t.Context(), t, "POST", "/webhooks/stripe", "", payload, "Stripe-Signature", signature,
			"Accept", "*/*; q=0.5, application/xml", "User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "Cache-Control", "no-cache")
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		answer, err := s.Ask.RoundTrip(r)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
	})
	t.Run("are_refused_unless_Stripe_signed_them_now", func(t *testing.T) {
		before := len(s.Settled)
		payload, signature := apitest.Event("evt_3")
		none, old := `{"id": "evt_3"}`, time.Now().Add(-time.Hour)
		for name, row := range map[string][2]string{
			"no signature":     {payload, ""},
			"altered":          {payload + " ", signature},
			"signed yesterday": {payload, apitest.Sign(payload, old)},
			"no event":         {none, apitest.Sign(none, time.Now())},
			"nothing":          {"", apitest.Sign("", time.Now())},
		} {
			assert.Equal(t, 400, tell(row[0], row[1]), name)
		}
		assert.Len(t, s.Settled, before)
		assert.Equal(t, 200, tell(payload, signature), "and the true one is not refused for them")
	})
	t.Run("come_again_where_they_could_not_be_settled", func(t *testing.T) {
		payload, signature := apitest.Event("evt_4")
		for _, fail := range []func() error{
			func() error { return errors.New("db-3 is away") },
			func() error { panic("db-3 is away") },
		} {
			s.Settle = func(context.Context, webhook.Event) error { return fail() }
			assert.GreaterOrEqual(t, tell(payload, signature), 500)
		}
		s.Settle = nil
		assert.Equal(t, 200, tell(payload, signature))
		assert.Equal(t, "evt_4", s.Settled[len(s.Settled)-1])
	})
	t.Run("are_too_many", func(t *testing.T) {
		verifier, err := webhook.New(webhook.Config{Secret: apitest.Secret, MaxEvents: 1})
		require.NoError(t, err)
		s = apitest.NewStand(t, c, func(c *api.Config) { c.Verifier = verifier })
		payload, signature := apitest.Event("evt_5")
		assert.Equal(t, 200, tell(payload, signature))
		payload, signature = apitest.Event("evt_6")
		assert.Equal(t, 503, tell(payload, signature))
	})
}

// What went wrong inside is in the log, with the request's ID, and not in the answer.
func TestNoted(t *testing.T) {
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	s.Shop.Err = errors.New("db-3: password of orders_rw refused")
	answer, text := s.Send("GET", "/orders", c.Ada, "", "X-Request-ID", "the-one")
	assert.Equal(t, 500, answer.StatusCode)
	assert.NotContains(t, text, "db-3")
	line := func(level, holds string) {
		t.Helper()
		for l := range strings.Lines(s.Log.String()) {
			if strings.Contains(l, `"msg":"fault"`) && strings.Contains(l, holds) && strings.Contains(l, `"level":"`+level+`"`) && strings.Contains(l, "the-one") {
				return
			}
		}
		assert.Fail(t, "no such line", "%s %s in\n%s", level, holds, s.Log)
	}
	line("ERROR", "orders_rw")
	s.Send("POST", "/webhooks/stripe", "", "{}", "X-Request-ID", "the-one")
	line("WARN", "malformed Stripe-Signature")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, target := range []string{"/menu", "/orders"} { // unchecked: there is nobody who gets an answer
		answer, err := apitest.Inside(s.Engine).RoundTrip(apitest.NewRequest(gone, t, "GET", target, c.Ada, "", "X-Request-ID", "the-one"))
		require.NoError(t, err)
		assert.Equal(t, 499, answer.StatusCode, target)
	}
	line("INFO", "orders_rw")
	assert.NotContains(t, s.Log.String(), c.Ada)
}

func TestDocument(t *testing.T) {
	s := apitest.NewStand(t, apitest.New(t, api.Document()))
	answer, text := s.Send("GET", "/openapi.json", "", "")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.Equal(t, string(api.Document()), text)
	api.Document()[0] = 'x'
	assert.True(t, json.Valid(api.Document()), "the slice is the caller's own")

	other := apitest.NewStand(t, apitest.New(t, api.Document()), func(c *api.Config) {
		c.Document = []byte(`{"openapi": "3.1.0", "info": {}, "paths": {}}`)
	})
	changed, text := other.Send("GET", "/openapi.json", "", "", "If-None-Match", answer.Header.Get("ETag"))
	assert.Equal(t, http.StatusOK, changed.StatusCode)
	assert.JSONEq(t, `{"openapi": "3.1.0", "info": {}, "paths": {}}`, text)
}
