// Package api is the order service as the web sees it: all its routes, behind the
// bouncers of chapter 4.
//
//	GET, HEAD /menu                 open to all; a cache may keep it for MenuTime
//	POST      /session              a token for a guest: see package guest of chapter 4
//	POST      /orders               orders:write, once for each Idempotency-Key
//	GET       /orders               orders:read
//	GET       /orders/:id           orders:read
//	POST      /orders/:id/cancel    orders:write
//	POST      /orders/:id/advance   orders:kitchen
//	POST      /webhooks/stripe      what Stripe has signed, and nothing else
//	GET, HEAD /openapi.json         what all of this looks like, for programs
//
// A route does three things: it reads, it asks the service, and it tells. Those of
// the orders are package controller's. Here are the few others, and where each of
// them stands: this is the door between the dining room and the kitchen.
//
// What can be asked and answered is written down in openapi.json, by hand, and the
// tests hold each request and each answer of theirs against it. So a change here
// that clients would notice is a change there, too, or a red test.
//
// Source: OpenAPI Specification 3.1; RFC 9110 (HTTP); RFC 9457 (problems).
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/chain"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/solution/cors"
	"clicktocode.example/04-middleware/solution/deadline"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/validate"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/05-business-logic/solution/idempotency"
	"clicktocode.example/05-business-logic/solution/webhook"
)

// Prefixes are the path prefixes of all routes that clients may use, for who sends
// requests here. /healthz is not among them.
var Prefixes = []string{"/menu", "/orders", "/session", "/webhooks", "/openapi.json"}

// Bounds on what a client may take.
const (
	// Timeout is how long a request may take. The edges wait 5 seconds for an answer:
	// a deadline beyond that would never be seen, as they would have asked another
	// replica.
	Timeout = 3 * time.Second
	// MaxBody is how many octets a body has at most.
	MaxBody = 64 << 10
	// PerSecond is how many requests a client may make in a second for ever, and Burst
	// how many at once, where Config.RateLimit says nothing.
	PerSecond, Burst = 20, 40
)

// DefaultMethod is what an order is paid by where neither it nor Config says so: a
// card of Stripe's test mode, which is declined in any other.
const DefaultMethod = "pm_card_visa"

// Config is what the API works with.
type Config struct {
	// Service does what is asked for. Required.
	Service controller.Service
	// Menu has the dishes. Required.
	Menu order.Menu
	// Stock says how many of each dish are left, for the menu. nil means that the menu
	// does not say so.
	Stock order.Stock
	// Method is what an order is paid by that names no payment method, in the payment
	// provider's words. Empty means DefaultMethod.
	Method string
	// Keys are the Idempotency-Keys that are known. nil means new ones, as
	// idempotency.New makes them of the zero Config.
	Keys *idempotency.Keys
	// Verifier tells Stripe's events from everybody else's. Required.
	Verifier *webhook.Verifier
	// Settle applies an event that was verified. An error means that it could not be
	// applied now, so Stripe is asked to send it again later: an event that concerns
	// no order here, or changes nothing, is no error. It is called by many goroutines
	// at once, and for one event more than once: other replicas do not know what came
	// here. It returns when ctx, the request's, has ended. Required.
	Settle func(ctx context.Context, event webhook.Event) error

	// Key signs guests' tokens, and accepts those and others signed by it. Required.
	Key *issuer.Key
	// TrustedProxies and Development are those of chain.Config.
	TrustedProxies []netip.Prefix
	Development    bool
	// Origins are the other origins whose scripts may use the API: see cors.Config.
	Origins []string
	// RateLimit bounds each client. The zero value means PerSecond and Burst.
	RateLimit ratelimit.Config
	// Render is controller.Config's, and Produces are the media types beside
	// application/json that Accept may ask for, since Render writes them.
	Render   func(c *gin.Context, status int, answer any)
	Produces []string
	// Document is what GET /openapi.json answers, where Render answers otherwise than
	// the function Document says. nil means that one.
	Document []byte
	// Health and Before are chain.Config's.
	Health, Before gin.HandlerFunc
	// Log gets the access log, panics, and what went wrong behind an answer that does
	// not tell. nil means slog.Default().
	Log *slog.Logger
}

// New returns an engine with all routes, which serves once it is given to a server:
// it starts no goroutine, and there is nothing to close. More routes may be added
// before that; the bouncers stand in front of them, too.
//
// err names all faults of c at once, those of the bouncers included.
func New(c Config) (*gin.Engine, error) {
	faults := c.missing()
	if c.RateLimit.Rate == 0 && c.RateLimit.Burst == 0 {
		c.RateLimit.Rate, c.RateLimit.Burst = rate.Limit(PerSecond), Burst
	}
	if c.Keys == nil {
		keys, err := idempotency.New(idempotency.Config{})
		c.Keys, faults = keys, append(faults, err)
	}
	if c.Key == nil {
		c.Key = new(issuer.Key) // for chain's own faults, beside the one that it is missing
	}
	who := c.Key.Config()
	who.Optional = true // the menu is open to all: routes that are not begin with authorize
	engine, err := chain.New(chain.Config{
		TrustedProxies: c.TrustedProxies,
		Log:            c.Log,
		Health:         c.Health,
		Before:         c.Before,
		Development:    c.Development,
		Deadline:       deadline.Config{Timeout: Timeout},
		CORS: cors.Config{
			Origins: c.Origins, Headers: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID"},
			Expose: []string{"ETag", "Location", "Retry-After", idempotency.Replayed, "X-Request-ID"}, MaxAge: 10 * time.Minute,
		},
		RateLimit:    c.RateLimit,
		Validate:     validate.Config{MaxBody: MaxBody, Accept: append([]string{"application/json"}, c.Produces...)},
		Authenticate: who,
	})
	faults = append(faults, err)
	orders, err := controller.New(c.Service, controller.Config{
		Method: cmp.Or(c.Method, DefaultMethod),
		Once:   idempotency.Handler(c.Keys),
		Render: c.Render,
	})
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}

	engine.Use(noted(cmp.Or(c.Log, slog.Default())))
	get := []string{http.MethodGet, http.MethodHead}
	engine.Match(get, "/menu", (&menu{Menu: c.Menu, stock: c.Stock}).show)
	engine.Match(get, "/openapi.json", document(c.Document))
	engine.POST("/session", guest.Session(c.Key))
	orders.Register(engine)
	engine.POST("/webhooks/stripe", events{c.Verifier, c.Settle}.receive)
	return engine, nil
}

// missing is a fault for each field that is required and not there. That there is no
// Service is for package controller to say.
func (c Config) missing() (faults []error) {
	for _, field := range []struct {
		name  string
		there bool
	}{
		{"Menu", c.Menu != nil}, {"Verifier", c.Verifier != nil}, {"Settle", c.Settle != nil}, {"Key", c.Key != nil},
	} {
		if !field.there {
			faults = append(faults, errors.New("api: no "+field.name))
		}
	}
	return faults
}
