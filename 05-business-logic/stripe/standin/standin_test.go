package standin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	mock "github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/solution/webhook"
	"clicktocode.example/05-business-logic/stripe/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPaymentIntents(t *testing.T) {
	t.Run("charges_when_confirmed", func(t *testing.T) {
		s := serve(t, standin.Config{})
		got := s.post(t, "/v1/payment_intents", "", paid("pm_card_visa"))
		require.Equal(t, 200, got.status, "%v", got.body)
		assert.Equal(t, "succeeded", got.body["status"])
		assert.EqualValues(t, 1250, got.body["amount_received"])
		again := s.get(t, "/v1/payment_intents/"+got.body["id"].(string))
		assert.Equal(t, got.body, again.body)
	})

	t.Run("charges_nothing_before_it_is_confirmed", func(t *testing.T) {
		s := serve(t, standin.Config{})
		form := paid("pm_card_visa")
		form.Del("confirm")
		got := s.post(t, "/v1/payment_intents", "", form)
		require.Equal(t, "requires_confirmation", got.body["status"])
		assert.EqualValues(t, 0, got.body["amount_received"])
		path := "/v1/payment_intents/" + got.body["id"].(string) + "/confirm"
		assert.Equal(t, "succeeded", s.post(t, path, "", nil).body["status"])
		assert.Equal(t, "payment_intent_unexpected_state", s.post(t, path, "", nil).err(t)["code"], "it was confirmed before")
	})

	for method, want := range map[string][2]string{
		"pm_card_chargeDeclined":                       {"card_declined", "generic_decline"},
		"pm_card_visa_chargeDeclined":                  {"card_declined", "generic_decline"},
		"pm_card_visa_chargeDeclinedInsufficientFunds": {"card_declined", "insufficient_funds"},
		"pm_card_chargeDeclinedExpiredCard":            {"expired_card", ""},
		"pm_card_authenticationRequired":               {"authentication_required", "authentication_required"},
	} {
		t.Run("declines_"+method, func(t *testing.T) {
			s := serve(t, standin.Config{})
			form := paid(method)
			form.Set("error_on_requires_action", "true")
			got := s.post(t, "/v1/payment_intents", "", form)
			require.Equal(t, 402, got.status)
			failure := got.err(t)
			assert.Equal(t, "card_error", failure["type"])
			assert.Equal(t, want[0], failure["code"])
			if want[1] != "" {
				assert.Equal(t, want[1], failure["decline_code"])
			}
			assert.Equal(t, "requires_payment_method", failure["payment_intent"].(map[string]any)["status"])
		})
	}

	for name, row := range map[string]struct {
		change func(url.Values)
		param  string
	}{
		"no_amount":               {func(f url.Values) { f.Del("amount") }, "amount"},
		"no_amount_above_0":       {func(f url.Values) { f.Set("amount", "0") }, "amount"},
		"no_amount_that_is_whole": {func(f url.Values) { f.Set("amount", "12.50") }, "amount"},
		"no_currency":             {func(f url.Values) { f.Set("currency", "EURO") }, "currency"},
		"no_method_it_knows":      {func(f url.Values) { f.Set("payment_method", "pm_nobody") }, "payment_method"},
		"an_unknown_parameter":    {func(f url.Values) { f.Set("tip", "100") }, "tip"},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			s := serve(t, standin.Config{})
			form := paid("pm_card_visa")
			row.change(form)
			got := s.post(t, "/v1/payment_intents", "", form)
			require.Equal(t, 400, got.status)
			assert.Equal(t, "invalid_request_error", got.err(t)["type"])
			assert.Equal(t, row.param, got.err(t)["param"])
			assert.Empty(t, s.server.Payments())
		})
	}

	t.Run("are_listed_newest_first", func(t *testing.T) {
		s := serve(t, standin.Config{})
		var ids []any
		for range 5 {
			ids = append([]any{s.post(t, "/v1/payment_intents", "", paid("pm_card_visa")).body["id"]}, ids...)
		}
		var seen []any
		path := "/v1/payment_intents?limit=2"
		for range 3 {
			got := s.get(t, path)
			for _, one := range got.body["data"].([]any) {
				seen = append(seen, one.(map[string]any)["id"])
			}
			if got.body["has_more"] == false {
				break
			}
			path = fmt.Sprint("/v1/payment_intents?limit=2&starting_after=", seen[len(seen)-1])
		}
		assert.Equal(t, ids, seen)
	})

	t.Run("are_found_by_metadata", func(t *testing.T) {
		s := serve(t, standin.Config{})
		s.post(t, "/v1/payment_intents", "", paid("pm_card_visa"))
		form := paid("pm_card_visa")
		form.Set("metadata[order]", "order-18")
		want := s.post(t, "/v1/payment_intents", "", form)
		find := func(query string) []any {
			got := s.get(t, "/v1/payment_intents/search?query="+url.QueryEscape(query))
			require.Equal(t, 200, got.status, "%v", got.body)
			return got.body["data"].([]any)
		}
		found := find("metadata['order']:'order-18' AND status:'succeeded'")
		require.Len(t, found, 1)
		assert.Equal(t, want.body["id"], found[0].(map[string]any)["id"])
		assert.Empty(t, find("metadata['order']:'order-19'"))
		assert.Equal(t, 400, s.get(t, "/v1/payment_intents/search?query=everything").status)
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Run("make_two_requests_one", func(t *testing.T) {
		s := serve(t, standin.Config{})
		first := s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		again := s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		assert.Equal(t, first.body, again.body)
		assert.Empty(t, first.header.Get("Idempotent-Replayed"))
		assert.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		assert.Len(t, s.server.Payments(), 1)
	})

	t.Run("remember_that_it_was_declined", func(t *testing.T) {
		s := serve(t, standin.Config{})
		s.post(t, "/v1/payment_intents", "key", paid("pm_card_chargeDeclined"))
		assert.Equal(t, 402, s.post(t, "/v1/payment_intents", "key", paid("pm_card_chargeDeclined")).status)
		assert.Len(t, s.server.Payments(), 1)
	})

	t.Run("are_for_one_thing", func(t *testing.T) {
		s := serve(t, standin.Config{})
		s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		form := paid("pm_card_visa")
		form.Set("amount", "9999")
		got := s.post(t, "/v1/payment_intents", "key", form)
		assert.Equal(t, 400, got.status)
		assert.Equal(t, "idempotency_error", got.err(t)["type"])
	})

	t.Run("refuse_what_is_in_flight", func(t *testing.T) {
		s := serve(t, standin.Config{Later: time.Hour})
		first := make(chan answer, 1)
		go func() {
			for {
				if a := s.do(http.MethodPost, "/v1/payment_intents", "key", paid("pm_standin_slow")); a.status != 400 {
					first <- a
					return
				} // the probe below had the key just then
			}
		}()
		require.Eventually(t, func() bool {
			return s.do(http.MethodPost, "/v1/payment_intents", "key", paid("pm_nobody")).err(t)["type"] == "idempotency_error"
		}, 5*time.Second, 5*time.Millisecond, "the key is never known")
		got := s.post(t, "/v1/payment_intents", "key", paid("pm_standin_slow"))
		assert.Equal(t, 409, got.status)
		assert.Equal(t, "idempotency_key_in_use", got.err(t)["code"])
		s.server.Close()
		assert.Zero(t, (<-first).status, "the stand-in was closed while it was at work")
	})

	t.Run("are_forgotten_after_a_day", func(t *testing.T) {
		var now atomic.Int64
		s := serve(t, standin.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
		s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		now.Store(24 * 3600)
		s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		assert.Len(t, s.server.Payments(), 1, "after 24 h")
		now.Store(24*3600 + 1)
		s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		assert.Len(t, s.server.Payments(), 2, "a second later")
	})

	t.Run("keep_no_request_that_was_wrong", func(t *testing.T) {
		s := serve(t, standin.Config{})
		assert.Equal(t, 400, s.post(t, "/v1/payment_intents", "key", paid("pm_nobody")).status)
		assert.Equal(t, 200, s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa")).status)
	})
}

func TestRefunds(t *testing.T) {
	t.Run("pay_back_once", func(t *testing.T) {
		s := serve(t, standin.Config{})
		of := url.Values{"payment_intent": {s.post(t, "/v1/payment_intents", "", paid("pm_card_visa")).body["id"].(string)}}
		got := s.post(t, "/v1/refunds", "", of)
		require.Equal(t, 200, got.status, "%v", got.body)
		assert.EqualValues(t, 1250, got.body["amount"])
		assert.Equal(t, "charge_already_refunded", s.post(t, "/v1/refunds", "", of).err(t)["code"])
		assert.EqualValues(t, 1250, s.server.Payments()[0].Refunded)
		assert.Equal(t, got.body, s.get(t, "/v1/refunds/"+got.body["id"].(string)).body)
		assert.Len(t, s.get(t, "/v1/refunds?"+of.Encode()).body["data"], 1)
	})

	t.Run("pay_back_no_more_than_was_paid", func(t *testing.T) {
		s := serve(t, standin.Config{})
		of := url.Values{"amount": {"1000"}, "payment_intent": {s.post(t, "/v1/payment_intents", "", paid("pm_card_visa")).body["id"].(string)}}
		assert.Equal(t, 200, s.post(t, "/v1/refunds", "", of).status)
		assert.Equal(t, 400, s.post(t, "/v1/refunds", "", of).status, "250 are left")
	})

	t.Run("need_a_payment", func(t *testing.T) {
		s := serve(t, standin.Config{})
		assert.Equal(t, "resource_missing", s.post(t, "/v1/refunds", "", url.Values{"payment_intent": {"pi_nobody"}}).err(t)["code"])
		s.post(t, "/v1/payment_intents", "", paid("pm_card_chargeDeclined"))
		of := url.Values{"payment_intent": {s.server.Payments()[0].ID}}
		assert.Equal(t, "payment_intent_unexpected_state", s.post(t, "/v1/refunds", "", of).err(t)["code"], "it was declined")
	})
}

func TestKey(t *testing.T) {
	for _, key := range []string{"", "sk_test_another_one_here", "sk_live_51NvR2jKq8"} {
		s := serve(t, standin.Config{})
		s.key = key
		got := s.post(t, "/v1/payment_intents", "", paid("pm_card_visa"))
		require.Equal(t, 401, got.status, "the key %q", key)
		require.Empty(t, s.server.Payments())
		if key != "" {
			assert.NotContains(t, got.err(t)["message"], key, "a key must not come back")
		}
	}
	_, err := standin.New(standin.Config{Key: "sk_live_51NvR2jKq8"})
	require.ErrorContains(t, err, "sk_test_")
	assert.NotContains(t, err.Error(), "51NvR2jKq8")
}

func TestFaults(t *testing.T) {
	t.Run("a_status_with_nothing_done", func(t *testing.T) {
		s := serve(t, standin.Config{})
		s.server.Next(standin.Fault{Status: 429, RetryAfter: "7"}, standin.Fault{Status: 500})
		got := s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa"))
		assert.Equal(t, 429, got.status)
		assert.Equal(t, "7", got.header.Get("Retry-After"))
		assert.Equal(t, 500, s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa")).status)
		assert.Empty(t, s.server.Payments())
		assert.Equal(t, 200, s.post(t, "/v1/payment_intents", "key", paid("pm_card_visa")).status)
	})

	t.Run("a_lost_answer", func(t *testing.T) {
		for _, work := range []bool{false, true} {
			s := serve(t, standin.Config{})
			s.server.Next(standin.Fault{Hangup: true, Work: work})
			got := s.do(http.MethodPost, "/v1/payment_intents", "", paid("pm_card_visa"))
			require.Zero(t, got.status)
			assert.Equal(t, work, len(s.server.Payments()) == 1)
		}
	})

	t.Run("a_method_that_is_flaky", func(t *testing.T) {
		s := serve(t, standin.Config{})
		for _, want := range []int{503, 503, 200, 200} {
			assert.Equal(t, want, s.post(t, "/v1/payment_intents", "key", paid("pm_standin_flaky")).status)
		}
		assert.Len(t, s.server.Payments(), 1)
	})

	t.Run("a_method_whose_answers_are_lost", func(t *testing.T) {
		s := serve(t, standin.Config{})
		for _, want := range []int{0, 0, 200} {
			require.Equal(t, want, s.do(http.MethodPost, "/v1/payment_intents", "key", paid("pm_standin_lost")).status)
			require.Len(t, s.server.Payments(), 1)
		}
	})
}

func TestWebhooks(t *testing.T) {
	const secret = "whsec_of_the_test"
	receiver := func(t *testing.T, first int) (string, <-chan webhook.Event) {
		v, err := webhook.New(webhook.Config{Secret: secret})
		require.NoError(t, err)
		var refuse atomic.Int32
		refuse.Store(int32(first))
		events := make(chan webhook.Event, 9)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			payload, _ := io.ReadAll(r.Body)
			event, err := v.Verify(payload, r.Header.Get("Stripe-Signature"))
			if err != nil {
				w.WriteHeader(400)
				return
			}
			if refuse.Add(-1) >= 0 {
				v.Forget(event.ID)
				w.WriteHeader(503)
				return
			}
			events <- event
		}))
		t.Cleanup(server.Close)
		return server.URL, events
	}
	next := func(t *testing.T, events <-chan webhook.Event) webhook.Event {
		select {
		case e := <-events:
			return e
		case <-time.After(5 * time.Second):
			require.Fail(t, "no event came within 5 s")
			panic("not reached")
		}
	}

	t.Run("tell_what_happened", func(t *testing.T) {
		to, events := receiver(t, 0)
		s := serve(t, standin.Config{WebhookURL: to, WebhookSecret: secret, Events: []string{"payment_intent.succeeded"}})
		got := s.post(t, "/v1/payment_intents", "", paid("pm_card_visa"))
		e := next(t, events)
		assert.Equal(t, "payment_intent.succeeded", e.Type)
		text, err := json.Marshal(got.body)
		require.NoError(t, err)
		assert.JSONEq(t, string(text), string(e.Object))
	})

	t.Run("are_sent_again_until_they_are_taken", func(t *testing.T) {
		to, events := receiver(t, 2)
		s := serve(t, standin.Config{WebhookURL: to, WebhookSecret: secret, Again: time.Millisecond, Events: []string{"payment_intent.payment_failed"}})
		s.post(t, "/v1/payment_intents", "", paid("pm_card_chargeDeclined"))
		assert.Equal(t, "payment_intent.payment_failed", next(t, events).Type)
	})

	t.Run("settle_what_takes_its_time", func(t *testing.T) {
		for method, want := range map[string]string{"pm_standin_later": "payment_intent.succeeded", "pm_standin_later_declined": "payment_intent.payment_failed"} {
			to, events := receiver(t, 0)
			s := serve(t, standin.Config{WebhookURL: to, WebhookSecret: secret, Later: time.Millisecond, Events: []string{"payment_intent.succeeded", "payment_intent.payment_failed"}})
			got := s.post(t, "/v1/payment_intents", "key", paid(method))
			require.Equal(t, "processing", got.body["status"])
			require.Equal(t, want, next(t, events).Type)
			assert.Equal(t, "processing", s.post(t, "/v1/payment_intents", "key", paid(method)).body["status"], "a key brings back what was said at first")
		}
	})
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, err := standin.New(standin.Config{Later: time.Hour})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	s := &served{server: server, url: "http://" + ln.Addr().String(), key: standin.TestKey, client: &http.Client{Transport: &http.Transport{}}}
	defer s.client.CloseIdleConnections()
	assert.Equal(t, "processing", s.post(t, "/v1/payment_intents", "", paid("pm_standin_later")).body["status"])
	slow := make(chan answer, 1)
	go func() { slow <- s.do(http.MethodPost, "/v1/payment_intents", "", paid("pm_standin_slow")) }()
	stop()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(5 * time.Second):
		require.Fail(t, "Serve has not returned 5 s after its context was done, though what takes an hour is under way")
	}
	assert.Zero(t, (<-slow).status)
}

func TestNew(t *testing.T) {
	_, err := standin.New(standin.Config{Key: "x", WebhookURL: "nowhere", Again: -1})
	for _, name := range []string{"Key", `WebhookURL "nowhere"`, "WebhookSecret", "Again"} {
		require.ErrorContains(t, err, name)
	}
}

// TestShapes: whatever is asked and answered here, Stripe's own OpenAPI document
// has it, too: stripe-mock checks the parameters, and its answers have each field.
func TestShapes(t *testing.T) {
	fixtures, err := mock.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	document, err := mock.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	maps.DeleteFunc(document.Paths, func(path spec.Path, _ map[spec.HTTPVerb]*spec.Operation) bool { // a validator for each costs seconds
		return !strings.HasPrefix(string(path), "/v1/payment_intents") && !strings.HasPrefix(string(path), "/v1/refunds")
	})
	stub, err := mock.NewStubServer(fixtures, document, false, false)
	require.NoError(t, err)
	theirs := httptest.NewServer(http.HandlerFunc(stub.HandleRequest))
	t.Cleanup(theirs.Close)
	stripe := &served{url: theirs.URL, key: "sk_test_123", client: theirs.Client()}
	s := serve(t, standin.Config{})

	form := paid("pm_card_visa")
	form.Set("automatic_payment_methods[enabled]", "true")
	form.Set("automatic_payment_methods[allow_redirects]", "never")
	form.Set("error_on_requires_action", "true")
	ours := s.post(t, "/v1/payment_intents", "", form)
	require.Equal(t, 200, ours.status)
	covers(t, "payment_intent", stripe.post(t, "/v1/payment_intents", "", form), ours)
	id := ours.body["id"].(string)
	covers(t, "retrieve", stripe.get(t, "/v1/payment_intents/"+id), s.get(t, "/v1/payment_intents/"+id))
	covers(t, "list", stripe.get(t, "/v1/payment_intents?limit=2"), s.get(t, "/v1/payment_intents?limit=2"))
	query := "/v1/payment_intents/search?query=" + url.QueryEscape("metadata['order']:'order-17'")
	covers(t, "search", stripe.get(t, query), s.get(t, query))
	of := url.Values{"payment_intent": {id}}
	covers(t, "refund", stripe.post(t, "/v1/refunds", "", of), s.post(t, "/v1/refunds", "", of))
}

// covers asserts that theirs has all fields of ours.
func covers(t *testing.T, what string, theirs, ours answer) {
	t.Helper()
	require.Equal(t, 200, theirs.status, "%s: stripe-mock refuses the request: %v", what, theirs.body)
	require.Equal(t, 200, ours.status, "%s: %v", what, ours.body)
	for name, value := range ours.body {
		their, there := theirs.body[name]
		assert.True(t, there, "%s has the field %q, which Stripe's has not", what, name)
		if value != nil && their != nil {
			assert.IsType(t, their, value, "%s: the field %q", what, name)
		}
	}
}

// served is a stand-in that is served, or something like it.
type served struct {
	server *standin.Server
	url    string
	key    string
	client *http.Client
}

func serve(t *testing.T, c standin.Config) *served {
	t.Helper()
	server, err := standin.New(c)
	require.NoError(t, err)
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		web.CloseClientConnections()
		server.Close()
		web.Close()
	})
	return &served{server: server, url: web.URL, key: standin.TestKey, client: web.Client()}
}

// paid is a charge of 12.50 €.
func paid(method string) url.Values {
	return url.Values{
		"amount": {"1250"}, "currency": {"eur"}, "confirm": {"true"}, "payment_method": {method}, "metadata[order]": {"order-17"},
	}
}

// answer is one. Its status is 0 if there was none.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) err(t *testing.T) map[string]any {
	t.Helper()
	failure, ok := a.body["error"].(map[string]any)
	if !ok {
		return map[string]any{}
	}
	return failure
}

func (s *served) get(t *testing.T, path string) answer {
	t.Helper()
	a := s.do(http.MethodGet, path, "", nil)
	require.NotZero(t, a.status, "GET %s got no answer", path)
	return a
}

func (s *served) post(t *testing.T, path, key string, form url.Values) answer {
	t.Helper()
	a := s.do(http.MethodPost, path, key, form)
	require.NotZero(t, a.status, "POST %s got no answer", path)
	return a
}

// do sends a request by a connection of its own: net/http would repeat one with a
// key by itself when an old connection breaks.
func (s *served) do(method, path, key string, form url.Values) answer {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+s.key)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if json.NewDecoder(resp.Body).Decode(&a.body) != nil {
		return answer{}
	}
	return a
}
