// Package replica is what a replica of the order service is, put together of its
// parts, and the two stand-ins that it talks to on a laptop.
//
//	api ─► ordering ─► menu, stock, orders     in memory, or the caller's
//	                ├► stripe ─► breaker ─► Stripe's API, or the stand-in
//	                └► sendgrid ─► SendGrid's API, or the stand-in
//
// With orders in its memory, there is one replica, and what it knows ends with it, as
// in chapter 5. Chapter 6 brings the database, and with it the others.
package replica

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/sendgrid"
	"clicktocode.example/05-business-logic/solution/breaker"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/05-business-logic/solution/webhook"
	"clicktocode.example/05-business-logic/stripe"
)

// Tax is on top of every dish: 7 %.
const Tax = 700

// Time is short: a request has api.Timeout, and in it an order must be priced,
// reserved, charged and saved. So a charge has most of that, all its attempts
// together. One that takes longer is not lost: its order is Pending, and the webhook
// or the loop finds out.
const (
	connectTime = time.Second
	chargeTime  = api.Timeout - 500*time.Millisecond
	firstWait   = 250 * time.Millisecond // before the second attempt, at most
	mailTime    = 10 * time.Second       // nobody waits for mail
	settleTime  = 5 * time.Second        // between two runs of the loop: longer than api.Timeout
	saveTime    = 500 * time.Millisecond // from a payment's event to its order
)

// The breaker opens after so many charges in a row that failed, or took so long, and
// stays open for a while.
const (
	openAfter = 5
	slow      = 2 * time.Second
	openTime  = 5 * time.Second
)

// Config is what a Replica works with. Key, Stripe.Key and, without Outbox, Mail.Key
// and Mail.From are required.
type Config struct {
	// Stripe is where payments are made. What it does not say of Transport, Retry,
	// Timeout and Breaker is set here, so that a charge fits into a request.
	Stripe stripe.Config
	// WebhookSecret is what Stripe's events are signed with: see webhook.Config. Empty
	// means the one of the stand-in: see Secret.
	WebhookSecret string
	// Mail is who sends mail, and Recipient whom to: see ordering.Config. A nil
	// Recipient has the customer ada's go to ada@example.com, which is nobody's.
	Mail      sendgrid.Config
	Recipient func(customer string) string
	// Wrap, unless nil, returns what carries requests to Stripe in base's place.
	Wrap func(base http.RoundTripper) http.RoundTripper
	// Outbox says that who keeps orders keeps their mail, too, and others send it:
	// Mail and Recipient are not used.
	Outbox bool
	// Ports are where menu, stock and orders are, all three or none. They stay the
	// caller's. None means in memory. Payments is not used.
	Ports order.Ports
	// Show, unless nil, returns what the API asks in the service's place: the same,
	// but what is only shown may come from a cache.
	Show func(controller.Service) controller.Service
	// Stock is how many there are of each dish in memory, by ID. nil means as Menu says.
	Stock map[string]int
	// Interval is how often it is looked after what is open: ordering.Config's. 0 means
	// 5 s.
	Interval time.Duration

	// These are api.Config's.
	Key            *issuer.Key
	TrustedProxies []netip.Prefix
	Origins        []string
	RateLimit      ratelimit.Config
	Render         func(c *gin.Context, status int, answer any)
	Produces       []string
	Document       []byte
	Health, Before gin.HandlerFunc
	Development    bool
	Log            *slog.Logger
}

// To is the address that customer's mail goes to: see Recipient.
func (c Config) To(customer string) string {
	if c.Recipient == nil {
		return customer + "@example.com"
	}
	return c.Recipient(customer)
}

// Replica is an http.Handler. Make one with New, and Close it.
type Replica struct {
	http.Handler
	service  *ordering.Service
	payments *stripe.Client
	mailer   *sendgrid.Client
	idle     func()
}

// New returns a Replica, whose loop runs. err names all faults of c at once, but for
// those that come to light only when the rest is right.
func New(c Config) (*Replica, error) {
	c.Log = cmp.Or(c.Log, slog.Default())
	r := &Replica{idle: func() {}}
	faults := []error{r.pay(&c)}
	var err error
	var mailer order.Mailer // nil sends none
	if !c.Outbox {
		c.Mail.Timeout = cmp.Or(c.Mail.Timeout, mailTime)
		r.mailer, err = sendgrid.New(c.Mail)
		mailer, faults = r.mailer, append(faults, err)
	}
	if c.WebhookSecret == "" {
		c.WebhookSecret, err = Secret("")
		faults = append(faults, err)
	}
	if err = errors.Join(faults...); err != nil {
		return nil, err
	}
	verifier, err := webhook.New(webhook.Config{Secret: c.WebhookSecret})
	if err != nil {
		return nil, err
	}

	menu, stock := Menu()
	if c.Stock != nil {
		stock = maps.Clone(c.Stock)
	}
	ports := c.Ports
	if ports == (order.Ports{}) {
		ports = order.Ports{Menu: memory.NewMenu(menu), Stock: memory.NewStock(stock), Orders: memory.NewOrders()}
	}
	ports.Payments = r.payments
	if r.service, err = ordering.New(ordering.Config{
		Ports: ports, Tax: Tax, Mailer: mailer, Recipient: c.To, Interval: cmp.Or(c.Interval, settleTime), Log: c.Log,
	}); err != nil {
		return nil, err
	}
	var shown controller.Service = r.service
	if c.Show != nil {
		shown = c.Show(shown)
	}
	r.Handler, err = api.New(api.Config{
		Service: shown, Menu: ports.Menu, Stock: ports.Stock, Verifier: verifier, Settle: r.settle,
		Key: c.Key, TrustedProxies: c.TrustedProxies, Origins: c.Origins, RateLimit: c.RateLimit, Development: c.Development, Log: c.Log,
		Render: c.Render, Produces: c.Produces, Document: c.Document, Health: c.Health, Before: c.Before,
	})
	if err != nil {
		return nil, errors.Join(err, r.Close(context.Background()))
	}
	return r, nil
}

// pay makes the client that charges, with times that fit into a request.
func (r *Replica) pay(c *Config) (err error) {
	s := &c.Stripe
	if s.Transport == nil {
		own := &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: connectTime}).DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: connectTime, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		}
		s.Transport, r.idle = own, own.CloseIdleConnections
	}
	if c.Wrap != nil {
		s.Transport = c.Wrap(s.Transport)
	}
	s.Timeout = cmp.Or(s.Timeout, chargeTime)
	s.Retry.FirstDelay = cmp.Or(s.Retry.FirstDelay, firstWait)
	s.Retry.MaxRetryAfter = cmp.Or(s.Retry.MaxRetryAfter, chargeTime)
	if s.Breaker == nil {
		if s.Breaker, err = breaker.New(breaker.Config{
			Failures: openAfter, Slow: slow, Open: openTime, Failed: stripe.Failed,
			OnChange: func(from, to breaker.State) { c.Log.Warn("stripe: the breaker has changed", "from", from, "to", to) },
		}); err != nil {
			return err
		}
	}
	r.payments, err = stripe.New(*s)
	return err
}

// settle applies an event that Stripe has signed: see api.Config. It tells of the payment
// at once, so another replica may be about to save the order. That takes a moment, and
// Stripe's next try comes much later.
func (r *Replica) settle(ctx context.Context, e webhook.Event) error {
	p, ours, err := ordering.ParsePayment(e)
	if err != nil || !ours {
		return err
	}
	for began := time.Now(); ; {
		err := r.service.SettlePayment(ctx, p)
		if !errors.Is(err, order.ErrNotFound) || time.Since(began) > saveTime {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Close ends all that New has started, and waits for it, until ctx is done: what is
// not done then is given up, and the error says so. Nothing may be asked of the
// Replica meanwhile, and afterwards.
func (r *Replica) Close(ctx context.Context) error {
	err := r.service.Close(ctx)
	r.payments.Close()
	if r.mailer != nil {
		r.mailer.Close()
	}
	r.idle()
	return err
}
