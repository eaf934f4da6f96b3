package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/freeport"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/replica"
	till "clicktocode.example/05-business-logic/stripe/standin"
)

// load is how long customers click in TestDoubleClick: go test -run DoubleClick -load 10s
var load = flag.Duration("load", time.Second, "how long customers click in TestDoubleClick")

// patience is how long anything here may take that is not measured.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two clicks on "Buy now" at once are one order and one payment: 100 customers do it,
// again and again, through all that chapters 1 to 5 have built.
func TestDoubleClick(t *testing.T) {
	const few = 50 // of mochi
	_, start := replica.Menu()
	for dish := range start {
		start[dish] = 1_000_000
	}
	start["mochi"] = few
	s := newStack(t, replica.Config{Stock: start, RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1}})
	s.startAll()
	customers := 100
	if raceEnabled {
		customers = 20 // each request takes ten times as long
	}
	dishes := []string{"ramen", "gyoza", "tofu", "tea", "udon", "soba", "curry", "edamame", "miso", "mochi"}

	var total tally
	ctx, stop := context.WithTimeout(t.Context(), *load)
	defer stop()
	var running sync.WaitGroup
	began := time.Now()
	for i := range customers {
		c := s.customer(fmt.Sprintf("guest-%d", i), i)
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.doubleClick(&total, fmt.Sprintf("click-%d", n), order.Item{Dish: dishes[(i+n)%len(dishes)], Quantity: 1 + n%2})
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	require.Empty(t, total.faults, "what a customer must not see")
	require.NotZero(t, total.orders)

	orders := s.orders(func(o placed) bool { return o.State != "pending" })
	sold, due := map[string]int{}, map[string]int64{}
	for _, o := range orders {
		require.Equal(t, "paid", o.State, "order %s", o.ID)
		due[o.ID] = o.Total.Amount
		for _, l := range o.Lines {
			sold[l.Dish] += l.Quantity
		}
	}
	assert.Len(t, orders, total.orders, "orders in the books, and orders that customers were told of")
	paid := map[string]int64{}
	for _, p := range s.payments() {
		if p.Status == "succeeded" {
			assert.Zero(t, paid[p.Metadata["order"]], "order %s was charged twice", p.Metadata["order"])
			paid[p.Metadata["order"]] += p.Amount
		}
	}
	assert.Equal(t, due, paid, "what each order costs, and what was charged for it")
	for dish, left := range s.left() {
		assert.Equal(t, start[dish], left+sold[dish], "%s: those at the start are those left, and those sold", dish)
		assert.GreaterOrEqual(t, left, 0)
	}

	slices.Sort(total.times)
	quantile := func(q float64) time.Duration {
		return total.times[int(q*float64(len(total.times)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("%d customers, %v: %d double clicks, %d orders (%.0f/s), %d sold out; %d requests (%.0f/s), of them %d met the other click under way, %d asked again after a fault, %d were pending at first; from the click to the order: median %v, p99 %v; mail: %d",
		customers, took.Round(time.Millisecond), total.clicks, total.orders, float64(total.orders)/took.Seconds(), total.soldOut,
		total.requests.Load(), float64(total.requests.Load())/took.Seconds(), total.underWay.Load(), total.again.Load(), total.pending.Load(), quantile(.5), quantile(.99), s.mailed())
}

// A card that is declined is 402, and the dishes are there again.
func TestDeclined(t *testing.T) {
	s := newStack(t, replica.Config{})
	s.startAll()
	c := s.customer("ada", 0)
	before := s.left()
	status, text := c.order("dinner-1", order.Item{Dish: "ramen", Quantity: 2}, "pm_card_chargeDeclined")
	require.Equal(t, http.StatusPaymentRequired, status, "%s", text)
	assert.Contains(t, string(text), "https://shop.test/problems/declined")
	assert.Equal(t, before, s.left(), "what is left of each dish")
	assert.Empty(t, s.orders(nil))

	status, text = c.order("dinner-2", order.Item{Dish: "ramen", Quantity: 2}, "pm_card_visa")
	require.Equal(t, http.StatusCreated, status, "another order, by another card: %s", text)
	assert.Equal(t, before["ramen"]-2, s.left()["ramen"])
	require.Eventually(t, func() bool { return s.mailed() == 1 }, patience, 10*time.Millisecond, "the one that was paid is confirmed by mail")
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
			server := s.ownTill(row.webhook)
			s.startAll()
			server.Next(lost, lost, lost)
			c := s.customer("ada", 0)
			status, text := c.order("dinner-1", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_visa")
			require.Equal(t, http.StatusAccepted, status, "%s", text)
			var first placed
			require.NoError(t, json.Unmarshal(text, &first))
			assert.Equal(t, "pending", first.State)

			began := time.Now()
			require.Eventually(t, func() bool { return s.orders(nil)[0].State == "paid" }, patience, 10*time.Millisecond)
			t.Logf("paid %v after the answer", time.Since(began).Round(time.Millisecond))
			assert.Equal(t, first.ID, s.orders(nil)[0].ID)
			require.Len(t, server.Payments(), 1)
			assert.Equal(t, first.Total.Amount, server.Payments()[0].Amount)
			require.Eventually(t, func() bool { return s.mailed() == 1 }, patience, 10*time.Millisecond, "it is confirmed by mail when it is paid")
		})
	}
}

// Stripe's silence costs an order's customer less than the edges' patience.
func TestSilence(t *testing.T) {
	s := newStack(t, replica.Config{})
	server := s.ownTill(true)
	s.startAll()
	for range 3 {
		server.Next(till.Fault{Delay: time.Hour})
	}
	began := time.Now()
	status, text := s.customer("ada", 0).order("dinner-1", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_visa")
	assert.Equal(t, http.StatusAccepted, status, "%s", text)
	assert.Less(t, time.Since(began), 4*time.Second, "the edges wait for 5 s, and would ask another replica then")
}

// Whoever cannot sign moves no order.
func TestForgedEvent(t *testing.T) {
	s := newStack(t, replica.Config{})
	s.startAll()
	c := s.customer("mallory", 0)
	status, text, err := c.do("POST", "/webhooks/stripe", "", strings.NewReader(`{"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}`),
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

// stand is the roles of the stack in this process, over real sockets.
type stand struct {
	t     *testing.T
	d     stage.Description
	run   map[string]stage.Run
	key   *issuer.Key
	names *resolver.Resolver // shop.test's DNS server, and no other
	inner *http.Client       // for what does not go through the door
}

// newStack is a stack that does not run yet, at addresses that were free a moment ago.
func newStack(t *testing.T, c replica.Config) *stand {
	dir := t.TempDir()
	t.Setenv("WORKSHOP_DIR", dir)
	for _, name := range []string{"TRUSTED_PROXIES", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SENDGRID_API_KEY", "MAIL_TO", "MAIL_FROM", "PICKER", "GIN_MODE"} {
		t.Setenv(name, "")
	}
	var held []net.Listener // until all have one: none twice
	for _, name := range []string{"DNS", "BALANCER", "EDGE1", "EDGE2", "EDGE1_ADMIN", "EDGE2_ADMIN", "A", "PAYMENTS", "MAIL"} {
		ln, err := freeport.Listen()
		require.NoError(t, err)
		held = append(held, ln)
		t.Setenv(name+"_ADDR", ln.Addr().String())
	}
	for _, ln := range held {
		require.NoError(t, ln.Close())
	}
	key, err := issuer.Open(dir)
	require.NoError(t, err)
	names, err := resolver.New(resolver.Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(os.Getenv("DNS_ADDR"))}})
	require.NoError(t, err)
	own := &http.Transport{}
	s := &stand{t: t, key: key, names: names, inner: &http.Client{Transport: own, Timeout: patience}}
	s.d, s.run = stack(c)
	t.Cleanup(func() {
		own.CloseIdleConnections()
		names.Close()
	})
	return s
}

// startAll runs all roles, and ends them with the test, in the order of the request's
// path.
func (s *stand) startAll() {
	ended := map[string]chan error{}
	stops := map[string]context.CancelFunc{}
	s.t.Cleanup(func() {
		for _, r := range s.d.Roles {
			stops[r.Name]()
			select {
			case err := <-ended[r.Name]:
				assert.NoError(s.t, err, r.Name)
			case <-time.After(patience):
				assert.Fail(s.t, "it does not end", r.Name)
			}
		}
	})
	ready := make(chan string, len(s.d.Roles))
	var log slog.Handler = slog.DiscardHandler
	if testing.Verbose() && os.Getenv("STACK_LOG") != "" { // for those who look for a fault
		log = slog.NewTextHandler(os.Stderr, nil)
	}
	for _, r := range s.d.Roles {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		ended[r.Name], stops[r.Name] = done, stop
		go func() {
			done <- s.run[r.Name](ctx, &stage.Stage{Name: r.Name, Log: slog.New(log).With("role", r.Name), Emit: func(e stage.Event) {
				if e.Event == stage.Ready {
					ready <- r.Name
				}
			}})
		}()
	}
	for range s.d.Roles {
		select {
		case <-ready:
		case <-time.After(patience):
			require.FailNow(s.t, "a role is not ready")
		}
	}
}

// ownTill puts a stand-in for Stripe into the role payments that the test can have fail.
func (s *stand) ownTill(webhook bool) *till.Server {
	secret, err := replica.Secret(os.Getenv("WORKSHOP_DIR"))
	require.NoError(s.t, err)
	c := till.Config{Again: 10 * time.Millisecond}
	if webhook {
		c.WebhookURL, c.WebhookSecret = "http://"+os.Getenv("A_ADDR")+replica.WebhookPath, secret
	}
	server, err := till.New(c)
	require.NoError(s.t, err)
	s.run["payments"] = func(ctx context.Context, st *stage.Stage) error {
		defer server.Close()
		defer context.AfterFunc(ctx, server.Close)()
		return roles.ServeHTTP(ctx, st, os.Getenv("PAYMENTS_ADDR"), server)
	}
	return server
}

// customer is one, with a connection of their own; where it can be, from an address of
// their own, too.
type customer struct {
	s     *stand
	token string
	web   *http.Client
}

func (s *stand) customer(name string, n int) *customer {
	token, err := s.key.Sign(name, []string{"orders:read", "orders:write"}, time.Hour)
	require.NoError(s.t, err)
	roots, err := authority.Pool(os.Getenv("WORKSHOP_DIR"))
	require.NoError(s.t, err)
	own := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, TLSHandshakeTimeout: patience,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ips, err := s.names.Lookup(ctx, host)
			if err != nil {
				return nil, err
			}
			dialer := net.Dialer{Timeout: patience}
			if runtime.GOOS == "linux" { // which has all of 127.0.0.0/8
				dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(ips[0].String(), port))
		},
	}
	s.t.Cleanup(own.CloseIdleConnections)
	return &customer{s: s, token: token, web: &http.Client{Transport: own, Timeout: patience}}
}

// do sends a request through the door, and reads the answer.
func (c *customer) do(method, path, token string, body io.Reader, header ...string) (status int, text []byte, err error) {
	_, port, _ := net.SplitHostPort(os.Getenv("BALANCER_ADDR"))
	req, err := http.NewRequestWithContext(c.s.t.Context(), method, "https://shop.test:"+port+path, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

func (c *customer) place(key string, item order.Item, method string) (status int, text []byte, err error) {
	body, err := json.Marshal(map[string]any{"lines": []order.Item{item}, "payment_method": method})
	if err != nil {
		return 0, nil, err
	}
	return c.do("POST", "/orders", c.token, strings.NewReader(string(body)), "Idempotency-Key", key)
}

// order is place for a test that needs the answer.
func (c *customer) order(key string, item order.Item, method string) (status int, text []byte) {
	c.s.t.Helper()
	status, text, err := c.place(key, item, method)
	require.NoError(c.s.t, err)
	return status, text
}

// tally is what customers have met with.
type tally struct {
	requests, underWay, again, pending atomic.Int64

	mu                      sync.Mutex // guards what follows
	clicks, orders, soldOut int
	times                   []time.Duration // from a click to the order
	faults                  []string
}

// doubleClick sends an order twice at once, and each of the two again until it is known
// what became of it.
func (c *customer) doubleClick(t *tally, key string, item order.Item) {
	began := time.Now()
	var ids [2]string
	var faults [2]error
	var both sync.WaitGroup
	for i := range ids {
		both.Go(func() { ids[i], faults[i] = c.insist(t, key, item) })
	}
	both.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clicks++
	t.times = append(t.times, time.Since(began))
	switch err := errors.Join(faults[:]...); {
	case err != nil:
		t.faults = append(t.faults, err.Error())
	case ids[0] != ids[1]:
		t.faults = append(t.faults, fmt.Sprintf("a double click on %v made two orders: %q", item, ids))
	case ids[0] == "":
		t.soldOut++
	default:
		t.orders++
	}
}

// insist is what a careful client does: it asks again, with the same key, until the
// answer is one for good. The ID is empty if the dish is sold out.
func (c *customer) insist(t *tally, key string, item order.Item) (id string, err error) {
	for end := time.Now().Add(*load + patience); ; {
		t.requests.Add(1)
		status, text, err := c.place(key, item, "pm_card_visa")
		var said struct{ ID, Type, Detail string }
		if err == nil {
			err = json.Unmarshal(text, &said)
		}
		switch {
		case err == nil && status == http.StatusCreated:
			return said.ID, nil
		case err == nil && status == http.StatusAccepted:
			t.pending.Add(1)
			return said.ID, nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/sold-out"):
			return "", nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/idempotency-in-flight"):
			t.underWay.Add(1)
		case err != nil, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout, status == http.StatusBadGateway:
			t.again.Add(1)
		default:
			return "", fmt.Errorf("status %d, %.300s", status, text)
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("no answer for good: status %d, %.300s, %w", status, text, cmp.Or(err, context.DeadlineExceeded))
		}
		time.Sleep(5 * time.Millisecond) // as Retry-After asks for, only shorter
	}
}

// placed is an order as a customer sees it.
type placed struct {
	ID, State string
	Lines     []order.Item
	Total     order.Money
}

// orders are all in the books, as the kitchen sees them. It waits until each is as ok
// says, if that is not nil.
func (s *stand) orders(ok func(placed) bool) (all []placed) {
	s.t.Helper()
	token, err := s.key.Sign("chef", []string{"orders:read", "orders:kitchen"}, time.Hour)
	require.NoError(s.t, err)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		all = nil
		for after := ""; ; {
			var page struct {
				Orders []placed
				Next   string
			}
			s.get("http://"+os.Getenv("A_ADDR")+"/orders?limit=100"+after, token, &page)
			all = append(all, page.Orders...)
			if page.Next == "" {
				break
			}
			after = "&after=" + page.Next
		}
		open := slices.IndexFunc(all, func(o placed) bool { return ok != nil && !ok(o) })
		if open < 0 {
			return all
		}
		if time.Now().After(end) {
			require.Failf(s.t, "not settled", "order %+v, after %v", all[open], patience)
		}
	}
}

// payments are those that the stand-in for Stripe has in its books.
func (s *stand) payments() (all []till.Payment) {
	s.t.Helper()
	for after := ""; ; {
		var page struct {
			HasMore bool `json:"has_more"`
			Data    []till.Payment
		}
		s.get("http://"+os.Getenv("PAYMENTS_ADDR")+"/v1/payment_intents?limit=100"+after, replica.StripeKey, &page)
		all = append(all, page.Data...)
		if !page.HasMore {
			return all
		}
		after = "&starting_after=" + page.Data[len(page.Data)-1].ID
	}
}

// left is what the menu says is left of each dish. It is asked for at the replica: an
// edge may have an older one.
func (s *stand) left() map[string]int {
	s.t.Helper()
	var menu struct {
		Dishes []struct {
			ID   string
			Left int
		}
	}
	s.get("http://"+os.Getenv("A_ADDR")+"/menu", "", &menu)
	left := map[string]int{}
	for _, d := range menu.Dishes {
		left[d.ID] = d.Left
	}
	require.NotEmpty(s.t, left)
	return left
}

// mailed is how many mails were sent.
func (s *stand) mailed() int {
	s.t.Helper()
	var box struct {
		Messages []struct{}
		Dropped  int
	}
	s.get("http://"+os.Getenv("MAIL_ADDR")+"/mailbox", "", &box)
	return len(box.Messages) + box.Dropped
}

func (s *stand) get(url, token string, into any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", url, nil)
	require.NoError(s.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.inner.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, resp.StatusCode, "%s: %.300s", url, text)
	require.NoError(s.t, json.Unmarshal(text, into))
}
