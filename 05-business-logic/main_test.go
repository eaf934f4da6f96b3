package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/stacktest"
	till "clicktocode.example/05-business-logic/stripe/standin"
)

// load is how long customers click in TestDoubleClick: go test -run DoubleClick -load 10s
var load = flag.Duration("load", time.Second, "how long customers click in TestDoubleClick")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two clicks on "Buy now" at once are one order and one payment: 100 customers do it,
// again and again, through all that chapters 1 to 5 have built.
func TestDoubleClick(t *testing.T) {
	s := newStack(t, replica.Config{Stock: stacktest.Stock(), RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1}})
	s.Start()
	customers := 100
	if raceEnabled {
		customers = 20 // each request takes ten times as long
	}
	told := s.DoubleClick(customers, *load)
	assert.Zero(t, told.Undone, "orders that were cancelled, and payments that were paid back, though nothing was wrong")
	t.Logf("%s; mail: %d", told, s.Mailed())
}

// A card that is declined is 402, and the dishes are there again.
func TestDeclined(t *testing.T) {
	s := newStack(t, replica.Config{})
	s.Start()
	c := s.Customer("ada", 0)
	before := s.Left()
	status, text := place(t, c, "dinner-1", order.Item{Dish: "ramen", Quantity: 2}, "pm_card_chargeDeclined")
	require.Equal(t, http.StatusPaymentRequired, status, "%s", text)
	assert.Contains(t, string(text), "https://shop.test/problems/declined")
	assert.Equal(t, before, s.Left(), "what is left of each dish")
	assert.Empty(t, s.Orders(nil))

	status, text = place(t, c, "dinner-2", order.Item{Dish: "ramen", Quantity: 2}, "pm_card_visa")
	require.Equal(t, http.StatusCreated, status, "another order, by another card: %s", text)
	assert.Equal(t, before["ramen"]-2, s.Left()["ramen"])
	require.Eventually(t, func() bool { return s.Mailed() == 1 }, stacktest.Patience, 10*time.Millisecond, "the one that was paid is confirmed by mail")
}

// An order whose payment's answers were all lost is 202, and is paid in the end: Stripe
// says so, or is asked.
func TestLostAnswer(t *testing.T) {
	lost := till.Fault{Hangup: true, Work: true}
	for _, row := range []struct {
		name    string
		webhook bool
	}{{"is_settled_by_a_webhook", true}, {"is_settled_by_asking", false}} {
		t.Run(row.name, func(t *testing.T) {
			interval := time.Hour // no loop
			if !row.webhook {
				interval = 100 * time.Millisecond
			}
			s := newStack(t, replica.Config{Interval: interval})
			server := ownTill(t, s, row.webhook)
			s.Start()
			server.Next(lost, lost, lost)
			c := s.Customer("ada", 0)
			status, text := place(t, c, "dinner-1", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_visa")
			require.Equal(t, http.StatusAccepted, status, "%s", text)
			var first stacktest.Placed
			require.NoError(t, json.Unmarshal(text, &first))
			assert.Equal(t, "pending", first.State)

			began := time.Now()
			require.Eventually(t, func() bool { return s.Orders(nil)[0].State == "paid" }, stacktest.Patience, 10*time.Millisecond)
			t.Logf("paid %v after the answer", time.Since(began).Round(time.Millisecond))
			assert.Equal(t, first.ID, s.Orders(nil)[0].ID)
			require.Len(t, server.Payments(), 1)
			assert.Equal(t, first.Total.Amount, server.Payments()[0].Amount)
			require.Eventually(t, func() bool { return s.Mailed() == 1 }, stacktest.Patience, 10*time.Millisecond, "it is confirmed by mail when it is paid")
		})
	}
}

// Stripe's silence costs an order's customer less than the edges' patience.
func TestSilence(t *testing.T) {
	s := newStack(t, replica.Config{})
	server := ownTill(t, s, true)
	s.Start()
	for range 3 {
		server.Next(till.Fault{Delay: time.Hour})
	}
	began := time.Now()
	status, text := place(t, s.Customer("ada", 0), "dinner-1", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_visa")
	assert.Equal(t, http.StatusAccepted, status, "%s", text)
	assert.Less(t, time.Since(began), 4*time.Second, "the edges wait for 5 s, and would ask another replica then")
}

// Whoever cannot sign moves no order.
func TestForgedEvent(t *testing.T) {
	s := newStack(t, replica.Config{})
	s.Start()
	c := s.Customer("mallory", 0)
	c.Token = "" // Stripe has none either
	status, text, err := c.Ask("POST", "/webhooks/stripe", map[string]string{"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"},
		"Stripe-Signature", fmt.Sprintf("t=%d,v1=00", time.Now().Unix()))
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, status, "%s", text)
}

func TestEnvironment(t *testing.T) {
	names := func(d stage.Description) (all []string) {
		for _, r := range d.Roles {
			all = append(all, r.Name)
		}
		return all
	}
	refuses := func(t *testing.T, run map[string]stage.Run, says string) {
		t.Helper()
		err := run["a"](t.Context(), &stage.Stage{Name: "a", Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}})
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "hidden")
	}
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	t.Setenv("A_ADDR", "127.0.0.1:0")

	t.Run("no_keys_are_stand_ins", func(t *testing.T) {
		d, _ := stack(replica.Config{})
		assert.Equal(t, []string{"dns", "balancer", "edge1", "edge2", "a", "payments", "mail"}, names(d))
	})
	t.Run("keys_are_the_real_ones_and_are_not_shown", func(t *testing.T) {
		t.Setenv("STRIPE_SECRET_KEY", "sk_test_hidden")
		t.Setenv("STRIPE_WEBHOOK_SECRET", "whsec_hidden")
		t.Setenv("SENDGRID_API_KEY", "SG.hidden")
		d, _ := stack(replica.Config{})
		assert.Equal(t, []string{"dns", "balancer", "edge1", "edge2", "a"}, names(d))
		text, err := json.Marshal(d)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "hidden")
	})
	t.Run("a_live_key_is_refused", func(t *testing.T) {
		for _, key := range []string{"sk_live_hidden", "rk_live_hidden"} {
			t.Setenv("STRIPE_SECRET_KEY", key)
			for _, yes := range []string{"", "no", "1", "true"} {
				t.Setenv("DANGEROUSLY_CHARGE_REAL_CARDS", yes)
				_, run := stack(replica.Config{})
				refuses(t, run, "DANGEROUSLY_CHARGE_REAL_CARDS=yes")
			}
		}
	})
	t.Run("a_live_key_that_is_meant_is_taken", func(t *testing.T) {
		t.Setenv("STRIPE_SECRET_KEY", "sk_live_hidden")
		t.Setenv("DANGEROUSLY_CHARGE_REAL_CARDS", "yes")
		_, run := stack(replica.Config{})
		ctx, stop := context.WithCancel(t.Context())
		ready := false
		err := run["a"](ctx, &stage.Stage{Name: "a", Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
			ready = ready || e.Event == stage.Ready
			stop() // and nothing is charged
		}})
		require.NoError(t, err)
		assert.True(t, ready)
	})
	t.Run("a_key_of_SendGrid_wants_a_receiver", func(t *testing.T) {
		t.Setenv("SENDGRID_API_KEY", "SG.hidden")
		_, run := stack(replica.Config{})
		refuses(t, run, "MAIL_TO")
	})
	t.Run("a_proxy_that_is_none_is_refused", func(t *testing.T) {
		t.Setenv("TRUSTED_PROXIES", "127.0.0.1")
		_, run := stack(replica.Config{})
		refuses(t, run, "TRUSTED_PROXIES")
	})
}

// newStack is a stack that does not run yet.
func newStack(t *testing.T, c replica.Config) *stacktest.Stack {
	stacktest.Isolate(t, "DNS", "BALANCER", "EDGE1", "EDGE2", "EDGE1_ADMIN", "EDGE2_ADMIN", "A", "PAYMENTS", "MAIL")
	d, run := stack(c)
	return stacktest.New(t, d, run)
}

// place has c place an order, for a test that needs the answer.
func place(t *testing.T, c *stacktest.Client, key string, item order.Item, method string) (status int, text []byte) {
	t.Helper()
	status, text, err := c.Place(key, item, method)
	require.NoError(t, err)
	return status, text
}

// ownTill puts a stand-in for Stripe into the role payments that the test can have fail.
func ownTill(t *testing.T, s *stacktest.Stack, webhook bool) *till.Server {
	secret, err := replica.Secret(os.Getenv("WORKSHOP_DIR"))
	require.NoError(t, err)
	c := till.Config{Again: 10 * time.Millisecond}
	if webhook {
		c.WebhookURL, c.WebhookSecret = "http://"+os.Getenv("A_ADDR")+replica.WebhookPath, secret
	}
	server, err := till.New(c)
	require.NoError(t, err)
	s.Run["payments"] = func(ctx context.Context, st *stage.Stage) error {
		defer server.Close()
		defer context.AfterFunc(ctx, server.Close)()
		return roles.ServeHTTP(ctx, st, os.Getenv("PAYMENTS_ADDR"), server)
	}
	return server
}
