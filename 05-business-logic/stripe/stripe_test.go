package stripe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
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

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/solution/breaker"
	"clicktocode.example/05-business-logic/solution/payment"
	"clicktocode.example/05-business-logic/stripe"
	"clicktocode.example/05-business-logic/stripe/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is in no error.
const key = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"

func TestPayments(t *testing.T) {
	ordertest.TestPayments(t, func(t *testing.T) ordertest.Till {
		p := provide(t, standin.Config{}, stripe.Config{})
		return ordertest.Till{
			Payments: p.client, Method: "pm_card_visa", Declined: "pm_card_chargeDeclined",
			Book: func(_ *testing.T, order string) (charged, refunded int64) {
				for _, payment := range p.server.Payments() {
					if payment.Status == "succeeded" && payment.Metadata["order"] == order {
						charged += payment.Amount
						refunded += payment.Refunded
					}
				}
				return charged, refunded
			},
		}
	})
}

func TestCharge(t *testing.T) {
	for _, row := range []struct {
		name   string
		faults []standin.Fault
		want   error // nil is a payment
		paid   int   // so many charges
	}{
		{"is_tried_again_after_a_500", []standin.Fault{{Status: 500}}, nil, 1},
		{"is_tried_again_after_a_429", []standin.Fault{{Status: 429, RetryAfter: "0"}}, nil, 1},
		{"is_tried_again_after_a_connection_that_broke", []standin.Fault{{Hangup: true}}, nil, 1},
		{"is_made_once_when_an_answer_is_lost", []standin.Fault{{Hangup: true, Work: true}}, nil, 1},
		{"is_made_once_when_a_500_lies", []standin.Fault{{Status: 500, Work: true}}, nil, 1},
		{"is_unavailable_after_a_429_too_many", []standin.Fault{{Status: 429}, {Status: 429}, {Status: 429}}, order.ErrUnavailable, 0},
		{"is_unavailable_when_it_would_have_to_wait_long", []standin.Fault{{Status: 429, RetryAfter: "3600"}}, order.ErrUnavailable, 0},
		{"is_unknown_after_a_500_too_many", []standin.Fault{{Status: 500}, {Status: 503}, {Status: 502}}, order.ErrUnknown, 0},
		{"is_unknown_when_all_answers_are_lost", []standin.Fault{{Hangup: true, Work: true}, {Hangup: true}, {Hangup: true}}, order.ErrUnknown, 1},
		{"is_unknown_when_an_answer_was_lost_before_a_429", []standin.Fault{{Hangup: true, Work: true}, {Status: 429}, {Status: 429}}, order.ErrUnknown, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := provide(t, standin.Config{}, stripe.Config{})
			p.server.Next(row.faults...)
			id, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
			safe(t, err)
			require.Len(t, p.server.Payments(), row.paid)
			if row.want == nil {
				require.NoError(t, err)
				assert.Equal(t, p.server.Payments()[0].ID, id)
				return
			}
			require.ErrorIs(t, err, row.want)
			assert.Empty(t, id)
			for _, other := range []error{order.ErrDeclined, order.ErrUnknown, order.ErrUnavailable, order.ErrInvalid} {
				assert.Equal(t, other == row.want, errors.Is(err, other), "%v is %v", err, other)
			}
			assert.True(t, stripe.Failed(err))

			id, err = p.client.Charge(t.Context(), charge("pm_card_visa"))
			require.NoError(t, err, "asked again under the same key, when all is well")
			require.Len(t, p.server.Payments(), 1, "one key is one charge")
			assert.Equal(t, p.server.Payments()[0].ID, id)
		})
	}

	t.Run("is_unknown_when_an_answer_takes_too_long", func(t *testing.T) {
		own := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 50 * time.Millisecond}
		p := provide(t, standin.Config{}, stripe.Config{Transport: own, Retry: payment.Config{Attempts: 2}})
		p.server.Next(standin.Fault{Delay: time.Hour}, standin.Fault{Delay: time.Hour})
		_, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnknown)
		safe(t, err)
	})

	t.Run("is_declined_at_once", func(t *testing.T) {
		for _, method := range []string{"pm_card_chargeDeclined", "pm_card_chargeDeclinedExpiredCard", "pm_card_authenticationRequired", "pm_nobody"} {
			p := provide(t, standin.Config{}, stripe.Config{})
			_, err := p.client.Charge(t.Context(), charge(method))
			require.ErrorIs(t, err, order.ErrDeclined, "the method %q", method)
			safe(t, err)
			assert.EqualValues(t, 1, p.requests.Load(), "the method %q: so many requests", method)
			assert.False(t, stripe.Failed(err), "who declines is well")
		}
	})

	t.Run("is_invalid_without_a_key", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{})
		for _, k := range []string{"", strings.Repeat("k", 256)} {
			c := charge("pm_card_visa")
			c.Key = k
			_, err := p.client.Charge(t.Context(), c)
			require.ErrorIs(t, err, order.ErrInvalid)
		}
		assert.Zero(t, p.requests.Load())
	})

	t.Run("is_unknown_until_it_is_settled", func(t *testing.T) {
		for method, want := range map[string]error{"pm_standin_later": nil, "pm_standin_later_declined": order.ErrDeclined} {
			p := provide(t, standin.Config{Later: 50 * time.Millisecond}, stripe.Config{})
			_, err := p.client.Charge(t.Context(), charge(method))
			require.ErrorIs(t, err, order.ErrUnknown)
			assert.False(t, stripe.Failed(err), "a bank that takes its time is no failure")
			require.Eventually(t, func() bool { return p.server.Payments()[0].Status != "processing" }, 5*time.Second, time.Millisecond)
			id, err := p.client.Charge(t.Context(), charge(method))
			require.ErrorIs(t, err, want, "asked again under the same key, when it is settled: the key brings back what was said at first, so the PaymentIntent itself must be asked")
			assert.Equal(t, want == nil, id == p.server.Payments()[0].ID)
		}
	})

	t.Run("is_unavailable_when_nobody_is_there", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		c := client(t, stripe.Config{URL: "http://" + ln.Addr().String()})
		_, err = c.Charge(t.Context(), charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnavailable)
		assert.NotErrorIs(t, err, order.ErrUnknown)
		safe(t, err)
	})

	t.Run("is_unavailable_when_the_key_is_wrong", func(t *testing.T) {
		p := provide(t, standin.Config{Key: "sk_test_another"}, stripe.Config{})
		_, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnavailable)
		safe(t, err)
		assert.EqualValues(t, 1, p.requests.Load())
	})

	t.Run("is_unknown_when_the_caller_leaves_meanwhile", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{})
		ctx, leave := context.WithCancel(t.Context())
		p.server.Next(standin.Fault{Delay: time.Hour})
		p.arrived = leave
		_, err := p.client.Charge(ctx, charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnknown)
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("ends_when_its_time_is_over", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{Timeout: 300 * time.Millisecond})
		p.server.Next(standin.Fault{Delay: time.Hour})
		_, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnknown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestFaultyServer: what comes is not from Stripe, or only half of it.
func TestFaultyServer(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   error
	}{
		"a_page_of_a_proxy": {func(w http.ResponseWriter) {
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>Bad Gateway pi_1_secret_x")
		}, order.ErrUnknown},
		"a_success_that_breaks_off": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5000")
			_, _ = io.WriteString(w, `{"id": "pi_1", "client_secret": "pi_1_secret_x", "sta`)
		}, order.ErrUnknown},
		"a_success_that_says_nothing":   {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{}`) }, order.ErrUnknown},
		"a_success_that_is_no_JSON":     {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `pi_1_secret_x`) }, order.ErrUnknown},
		"a_redirection":                 {func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(307) }, order.ErrUnknown},
		"a_404_that_is_not_Stripe's":    {func(w http.ResponseWriter) { w.WriteHeader(404); _, _ = io.WriteString(w, "not found") }, order.ErrUnknown},
		"a_402_without_any_explanation": {func(w http.ResponseWriter) { w.WriteHeader(402); _, _ = io.WriteString(w, `{"error": {}}`) }, order.ErrDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
				row.answer(w)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			t.Cleanup(server.Close)
			c := client(t, stripe.Config{URL: server.URL})
			_, err := c.Charge(t.Context(), charge("pm_card_visa"))
			require.ErrorIs(t, err, row.want)
			safe(t, err)
		})
	}
}

func TestRefund(t *testing.T) {
	t.Run("is_made_once_when_an_answer_is_lost", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{})
		id, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.NoError(t, err)
		p.server.Next(standin.Fault{Hangup: true, Work: true})
		require.NoError(t, p.client.Refund(t.Context(), id))
		assert.EqualValues(t, 1250, p.server.Payments()[0].Refunded)
	})

	t.Run("is_made_once_though_its_key_is_forgotten", func(t *testing.T) {
		var now atomic.Int64
		p := provide(t, standin.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }}, stripe.Config{})
		id, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.NoError(t, err)
		require.NoError(t, p.client.Refund(t.Context(), id))
		now.Store(100 * 3600)
		require.NoError(t, p.client.Refund(t.Context(), id))
		assert.EqualValues(t, 1250, p.server.Payments()[0].Refunded)
	})

	t.Run("is_unknown_when_all_answers_are_lost", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{})
		id, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.NoError(t, err)
		lost := standin.Fault{Hangup: true, Work: true}
		p.server.Next(lost, lost, lost)
		require.ErrorIs(t, p.client.Refund(t.Context(), id), order.ErrUnknown)
		require.NoError(t, p.client.Refund(t.Context(), id))
		assert.EqualValues(t, 1250, p.server.Payments()[0].Refunded)
	})

	t.Run("needs_a_payment_that_succeeded", func(t *testing.T) {
		p := provide(t, standin.Config{}, stripe.Config{})
		_, err := p.client.Charge(t.Context(), charge("pm_card_chargeDeclined"))
		require.ErrorIs(t, err, order.ErrDeclined)
		require.ErrorIs(t, p.client.Refund(t.Context(), p.server.Payments()[0].ID), order.ErrInvalid)
		require.ErrorIs(t, p.client.Refund(t.Context(), "pi_nobody"), order.ErrNotFound)
	})
}

// TestOpenAPI: stripe-mock, which is made of Stripe's own OpenAPI document, takes
// what the client sends. It keeps no state, so its answers say nothing.
func TestOpenAPI(t *testing.T) {
	fixtures, err := mock.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	document, err := mock.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	maps.DeleteFunc(document.Paths, func(path spec.Path, _ map[spec.HTTPVerb]*spec.Operation) bool { // a validator for each costs seconds
		return !strings.HasPrefix(string(path), "/v1/payment_intents") && !strings.HasPrefix(string(path), "/v1/refunds")
	})
	stub, err := mock.NewStubServer(fixtures, document, false, false)
	require.NoError(t, err)
	var statuses []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		into := httptest.NewRecorder()
		stub.HandleRequest(into, r)
		statuses = append(statuses, into.Code)
		maps.Copy(w.Header(), into.Header())
		w.WriteHeader(into.Code)
		_, _ = w.Write(into.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	c := client(t, stripe.Config{URL: server.URL})
	_, err = c.Charge(t.Context(), charge("pm_card_visa"))
	assert.ErrorIs(t, err, order.ErrDeclined, "stripe-mock's only PaymentIntent is one that wants another payment method")
	assert.NoError(t, c.Refund(t.Context(), "pi_1"))
	server.CloseClientConnections()
	assert.Equal(t, []int{200, 200}, statuses)
}

func TestBreaker(t *testing.T) {
	b, err := breaker.New(breaker.Config{Failures: 2, Failed: stripe.Failed})
	require.NoError(t, err)
	p := provide(t, standin.Config{}, stripe.Config{Breaker: b, Retry: payment.Config{Attempts: 1}})
	for i := range 3 {
		c := charge("pm_card_chargeDeclined")
		c.Key = fmt.Sprint(i)
		_, err := p.client.Charge(t.Context(), c)
		require.ErrorIs(t, err, order.ErrDeclined, "a declined card opens no breaker")
	}
	p.server.Next(standin.Fault{Status: 500}, standin.Fault{Status: 500})
	for range 2 {
		_, err := p.client.Charge(t.Context(), charge("pm_card_visa"))
		require.ErrorIs(t, err, order.ErrUnknown)
	}
	asked := p.requests.Load()
	_, err = p.client.Charge(t.Context(), charge("pm_card_visa"))
	require.ErrorIs(t, err, order.ErrUnavailable)
	require.ErrorIs(t, err, breaker.ErrOpen)
	assert.Equal(t, asked, p.requests.Load(), "nobody is asked while the breaker is open")
}

func TestNew(t *testing.T) {
	for name, row := range map[string]struct {
		config stripe.Config
		says   string // nothing is fine
	}{
		"a_test_key":                        {stripe.Config{Key: key}, ""},
		"a_restricted_test_key":             {stripe.Config{Key: "rk_test_1"}, ""},
		"no_key":                            {stripe.Config{}, "sk_test_"},
		"a_publishable_key":                 {stripe.Config{Key: "pk_test_hidden"}, "sk_test_"},
		"a_live_key":                        {stripe.Config{Key: "sk_live_hidden"}, "DangerouslyUseLiveKey"},
		"a_restricted_live_key":             {stripe.Config{Key: "rk_live_hidden"}, "DangerouslyUseLiveKey"},
		"a_live_key_that_is_meant":          {stripe.Config{Key: "sk_live_hidden", DangerouslyUseLiveKey: true}, ""},
		"a_live_key_in_the_clear":           {stripe.Config{Key: "sk_live_hidden", DangerouslyUseLiveKey: true, URL: "http://127.0.0.1:1"}, "https"},
		"a_key_in_the_clear":                {stripe.Config{Key: key, URL: "http://stripe.test"}, "https"},
		"a_host_that_looks_like_loopback":   {stripe.Config{Key: key, URL: "http://127.0.0.1.stripe.test"}, "https"},
		"a_URL_that_is_none":                {stripe.Config{Key: key, URL: "stripe"}, "URL"},
		"a_URL_with_credentials":            {stripe.Config{Key: key, URL: "https://sk:hidden@api.stripe.com"}, "URL"},
		"a_Timeout_below_0":                 {stripe.Config{Key: key, Timeout: -1}, "Timeout"},
		"a_Retry_that_is_wrong_and_no_key":  {stripe.Config{Retry: payment.Config{Attempts: -1}}, "sk_test_"},
		"no_key_and_a_Retry_that_is_wrong":  {stripe.Config{Retry: payment.Config{Attempts: -1}}, "Attempts"},
		"loopback_by_IPv6_is_in_the_clear?": {stripe.Config{Key: key, URL: "http://[::1]:1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := stripe.New(row.config)
			if row.says == "" {
				require.NoError(t, err)
				c.Close()
				return
			}
			require.ErrorContains(t, err, row.says)
			assert.NotContains(t, err.Error(), "hidden")
		})
	}
}

// safe asserts that err says nothing that nobody may read.
func safe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		assert.NotContains(t, err.Error(), key[8:])
		assert.NotContains(t, err.Error(), "_secret_")
		assert.Less(t, len(err.Error()), 500)
		assert.NotContains(t, err.Error(), "\n", "an error is one line of a log")
	}
}

func charge(method string) order.Charge {
	return order.Charge{Key: "charge-17", Order: "order-17", Amount: order.Money{Amount: 1250, Currency: "EUR"}, Method: method}
}

// provided is a Client before a stand-in.
type provided struct {
	client   *stripe.Client
	server   *standin.Server
	requests atomic.Int32
	arrived  func() // is called with each request, unless it is nil
}

func provide(t *testing.T, s standin.Config, c stripe.Config) *provided {
	t.Helper()
	if s.Key == "" {
		s.Key = key
	}
	server, err := standin.New(s)
	require.NoError(t, err)
	p := &provided{server: server}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if p.arrived != nil {
			p.arrived()
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		web.CloseClientConnections()
		web.Close()
	})
	c.URL = web.URL
	p.client = client(t, c)
	return p
}

// client is a Client that hurries.
func client(t *testing.T, c stripe.Config) *stripe.Client {
	t.Helper()
	c.Key = key
	if c.Retry.FirstDelay == 0 {
		c.Retry.FirstDelay = time.Millisecond
	}
	if c.Transport == nil {
		// Without connections that are kept, or net/http itself repeats what has a key.
		own := &http.Transport{DisableKeepAlives: true}
		t.Cleanup(own.CloseIdleConnections)
		c.Transport = own
	}
	made, err := stripe.New(c)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	return made
}
