// Package stripe charges and refunds by Stripe's API: it is the order.Payments that
// moves money.
//
// stripe-go speaks the API. What it does about faults is switched off, in favour of
// package payment, and a breaker may stand in front of all of it:
//
//	Client ─ breaker ─ stripe-go ─ payment.Transport ─ witness ─ http.Transport ─► Stripe
//
// The witness notes whether a request may have been done though no answer says so.
// That is the difference between order.ErrUnknown, where the order waits, and
// order.ErrUnavailable, where the customer may try again at once. Nothing else
// knows: a 429 says that nothing was done, unless the attempt before it was lost.
//
// A card is not asked for here, and never seen: the customer's browser gives it to
// Stripe, and gets a payment method for it, as in pm_1N…. That alone comes by.
//
// Stripe remembers an Idempotency-Key for 24 hours at least. A charge whose outcome
// is unknown must be asked about before they are over: after that, the same key is
// a new charge.
//
// In the story, it is the card reader.
package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/stripe/stripe-go/v85"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/breaker"
	"clicktocode.example/05-business-logic/solution/payment"
)

// Config is what a Client works with. Key is required.
type Config struct {
	// Key is the API key: sk_test_… or rk_test_…. It is in no error.
	Key string
	// DangerouslyUseLiveKey takes a Key as in sk_live_… or rk_live_…: money moves.
	DangerouslyUseLiveKey bool
	// URL is where the API is, as in http://127.0.0.1:4242. Empty means Stripe's own.
	// It is https, unless it is a loopback address, and always for a live key.
	URL string
	// Transport makes one attempt. It tells by way of httptrace's GotConn when it has
	// a connection, as net/http's does. nil means one of the Client's own, which waits
	// 5 s for a connection and 10 s for an answer.
	Transport http.RoundTripper
	// Retry is how attempts follow each other. Its Base is not used.
	Retry payment.Config
	// Timeout is for a Charge or a Refund, all attempts and waits together. 0 means
	// 30 s; it must not be negative. A context's deadline may be earlier.
	Timeout time.Duration
	// Breaker stands in front of all calls. Its Config.Failed should be Failed. nil
	// means none.
	Breaker *breaker.Breaker
}

// Client is an order.Payments. Make one with New. It may be used by many goroutines
// at once.
type Client struct {
	api     *sdk.Client
	timeout time.Duration
	breaker *breaker.Breaker
	idle    func()
}

var _ order.Payments = (*Client)(nil)

// New returns a Client that works as c says. It makes no call. err names all faults
// of c at once.
func New(c Config) (*Client, error) {
	base, idle := c.Transport, func() {}
	if base == nil {
		own := &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		}
		base, idle = own, own.CloseIdleConnections
	}
	c.Retry.Base = witness{base}
	transport, err := payment.New(c.Retry)
	if err = errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	backends := sdk.NewBackendsWithConfig(&sdk.BackendConfig{
		URL: sdk.String(cmp.Or(c.URL, sdk.APIURL)),
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for nobody else
		},
		MaxNetworkRetries: sdk.Int64(0), // or each of its attempts would be several of ours
		EnableTelemetry:   sdk.Bool(false),
		LeveledLogger:     &sdk.LeveledLogger{Level: sdk.LevelNull}, // what it logs holds client secrets
	})
	return &Client{
		api:     sdk.NewClient(c.Key, sdk.WithBackends(backends)),
		timeout: cmp.Or(c.Timeout, 30*time.Second), breaker: c.Breaker, idle: idle,
	}, nil
}

func (c Config) check() error {
	var faults []error
	live := strings.HasPrefix(c.Key, "sk_live_") || strings.HasPrefix(c.Key, "rk_live_")
	switch test := strings.HasPrefix(c.Key, "sk_test_") || strings.HasPrefix(c.Key, "rk_test_"); {
	case live && !c.DangerouslyUseLiveKey:
		faults = append(faults, errors.New("stripe: Key is a live one, by which money moves: set DangerouslyUseLiveKey, or use a key as in sk_test_"))
	case !live && !test:
		faults = append(faults, errors.New("stripe: Key must begin with sk_test_ or rk_test_"))
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		switch {
		case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https", u.User != nil:
			faults = append(faults, errors.New("stripe: URL must be as in https://api.stripe.com"))
		case u.Scheme == "http" && (live || !loopback(u.Hostname())):
			faults = append(faults, fmt.Errorf("stripe: URL %q would send the key in the clear: it must be https", c.URL))
		}
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("stripe: Timeout is %v, must not be negative", c.Timeout))
	}
	return errors.Join(faults...)
}

// loopback reports whether host is this machine, whatever a resolver says.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Close closes connections that are not in use, if they are the Client's own.
func (c *Client) Close() { c.idle() }

// Failed is a breaker's Config.Failed: it reports whether err is Stripe's failure, or
// the way's to it. A declined card is none, nor is a bank that takes its time.
func Failed(err error) bool {
	return !errors.Is(err, errProcessing) && (errors.Is(err, order.ErrUnknown) || errors.Is(err, order.ErrUnavailable))
}

// errProcessing is an order.ErrUnknown that is in order: a webhook will say.
var errProcessing = errors.New("still processing")

// Charge implements order.Payments, by a PaymentIntent that is confirmed at once. It
// has the order's ID and the key in its metadata. A payment method that there is
// none of is order.ErrDeclined, and so is one whose bank wants the customer to
// confirm the charge: nobody is there to do it. What Stripe holds for wrong in any
// other way is order.ErrInvalid.
func (c *Client) Charge(ctx context.Context, ch order.Charge) (string, error) {
	if ch.Key == "" || len(ch.Key) > 255 || ch.Amount.Amount < 1 || ch.Method == "" {
		return "", fmt.Errorf("stripe: charge %.300q of %v by %.40q: %w", ch.Key, ch.Amount, ch.Method, order.ErrInvalid)
	}
	var payment string
	err := c.call(ctx, fmt.Sprintf("charge %q", ch.Key), func(ctx context.Context) (err error) {
		params := &sdk.PaymentIntentCreateParams{
			Amount:        sdk.Int64(ch.Amount.Amount),
			Currency:      sdk.String(strings.ToLower(ch.Amount.Currency)),
			PaymentMethod: sdk.String(ch.Method),
			Confirm:       sdk.Bool(true),
			// Without a page to come back to, only methods that need none can be taken.
			AutomaticPaymentMethods: &sdk.PaymentIntentCreateAutomaticPaymentMethodsParams{
				Enabled: sdk.Bool(true), AllowRedirects: sdk.String("never"),
			},
			ErrorOnRequiresAction: sdk.Bool(true),
			Metadata:              map[string]string{"order": ch.Order, "key": ch.Key},
		}
		params.SetIdempotencyKey(ch.Key)
		intent, err := c.api.V1PaymentIntents.Create(ctx, params)
		if err != nil {
			return err
		}
		replayed := intent.LastResponse.Header.Get("Idempotent-Replayed") == "true"
		if replayed && intent.Status != sdk.PaymentIntentStatusSucceeded {
			// A key brings back what was said at first. What has become of it since, only
			// the PaymentIntent knows.
			if intent, err = c.api.V1PaymentIntents.Retrieve(ctx, intent.ID, nil); err != nil {
				return fmt.Errorf("%w: %w", order.ErrUnknown, explain(err))
			}
		}
		payment = intent.ID
		switch intent.Status {
		case sdk.PaymentIntentStatusSucceeded:
			if replayed {
				return c.kept(ctx, intent)
			}
			return nil
		case sdk.PaymentIntentStatusRequiresPaymentMethod, sdk.PaymentIntentStatusCanceled:
			return fmt.Errorf("%w: payment %q is %s", order.ErrDeclined, intent.ID, intent.Status)
		case sdk.PaymentIntentStatusProcessing:
			return fmt.Errorf("%w: payment %q: %w", order.ErrUnknown, intent.ID, errProcessing)
		}
		return fmt.Errorf("%w: payment %q is %q", order.ErrUnknown, intent.ID, intent.Status)
	})
	if err != nil {
		return "", err
	}
	return payment, nil
}

// kept returns an order.ErrDeclined if all of what was collected has been paid back.
func (c *Client) kept(ctx context.Context, intent *sdk.PaymentIntent) error {
	var back int64
	params := &sdk.RefundListParams{PaymentIntent: sdk.String(intent.ID)}
	params.Limit = sdk.Int64(100)
	for refund, err := range c.api.V1Refunds.List(ctx, params).All(ctx) {
		if err != nil {
			return fmt.Errorf("%w: the refunds of payment %q: %w", order.ErrUnknown, intent.ID, explain(err))
		}
		if refund.Status != sdk.RefundStatusFailed && refund.Status != sdk.RefundStatusCanceled {
			back += refund.Amount
		}
	}
	if back >= intent.Amount {
		return fmt.Errorf("%w: payment %q was paid back", order.ErrDeclined, intent.ID)
	}
	return nil
}

// Refund implements order.Payments. A payment that has not succeeded is
// order.ErrInvalid: there is nothing to pay back.
func (c *Client) Refund(ctx context.Context, payment string) error {
	if payment == "" {
		return fmt.Errorf("stripe: refund: payment %q: %w", payment, order.ErrNotFound)
	}
	return c.call(ctx, fmt.Sprintf("refund %q", payment), func(ctx context.Context) error {
		params := &sdk.RefundCreateParams{PaymentIntent: sdk.String(payment)}
		params.SetIdempotencyKey("refund-" + payment)
		refund, err := c.api.V1Refunds.Create(ctx, params)
		if failure := (*sdk.Error)(nil); errors.As(err, &failure) && failure.Code == sdk.ErrorCodeChargeAlreadyRefunded {
			return nil // by a call whose key is forgotten, or by hand: it is paid back
		}
		if err == nil && refund.Status != sdk.RefundStatusSucceeded && refund.Status != sdk.RefundStatusPending {
			return fmt.Errorf("%w: refund %q is %q", order.ErrUnknown, refund.ID, refund.Status)
		}
		return err
	})
}

// call does what is to be done in front of and behind each call of the API.
func (c *Client) call(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	seen := &history{}
	ctx = context.WithValue(ctx, historyKey{}, seen)
	guarded := func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return fmt.Errorf("stripe: %s: %w", what, translate(err, seen))
		}
		return nil
	}
	if c.breaker == nil {
		return guarded(ctx)
	}
	err := c.breaker.Do(ctx, guarded)
	if errors.Is(err, breaker.ErrOpen) {
		return fmt.Errorf("stripe: %s: %w: %w", what, order.ErrUnavailable, err)
	}
	return err
}

// translate says in package order's words what err means.
func translate(err error, seen *history) error {
	if errors.Is(err, order.ErrUnknown) || errors.Is(err, order.ErrDeclined) {
		return err
	}
	kind := order.ErrUnavailable
	if seen.doubt.Load() {
		kind = order.ErrUnknown
	}
	failure := (*sdk.Error)(nil)
	if !errors.As(err, &failure) {
		return fmt.Errorf("%w: %w", kind, explain(err))
	}
	switch {
	case failure.Type == sdk.ErrorTypeCard || failure.HTTPStatusCode == http.StatusPaymentRequired:
		kind = order.ErrDeclined
	case failure.HTTPStatusCode != http.StatusBadRequest && failure.HTTPStatusCode != http.StatusNotFound:
		// 401, 403, 429 have done nothing, 409 and 5xx nobody knows: the witness has seen it
	case failure.Type == sdk.ErrorTypeIdempotency:
		kind = order.ErrConflict
	case failure.Param == "payment_method":
		kind = order.ErrDeclined
	case failure.Code == sdk.ErrorCodeResourceMissing:
		kind = order.ErrNotFound
	default:
		kind = order.ErrInvalid
	}
	return fmt.Errorf("%w: %w", kind, explain(err))
}

// explain is err as it may be logged. Stripe's own text of an error is all of its
// JSON, in which there are a client secret and the customer's address.
func explain(err error) error {
	if failure := (*sdk.Error)(nil); errors.As(err, &failure) {
		text := fmt.Sprintf("status %d, %s", failure.HTTPStatusCode, failure.Type)
		for _, part := range []struct{ name, value string }{
			{"code", string(failure.Code)}, {"decline code", string(failure.DeclineCode)}, {"param", failure.Param}, {"request", failure.RequestID},
		} {
			if part.value != "" {
				text += fmt.Sprintf(", %s %.60q", part.name, part.value)
			}
		}
		return errors.New(text)
	}
	if failure := (*url.Error)(nil); errors.As(err, &failure) {
		return failure.Err
	}
	// What is left are answers that cannot be read, of which stripe-go quotes all.
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	return fmt.Errorf("an answer that cannot be read (%T)", err)
}

// history is what the attempts of a call have come to.
type history struct {
	// doubt is set when one may have been done, and did not say so.
	doubt atomic.Bool
}

type historyKey struct{}

// witness writes the history of a request.
type witness struct{ next http.RoundTripper }

func (w witness) RoundTrip(req *http.Request) (*http.Response, error) {
	seen, ok := req.Context().Value(historyKey{}).(*history)
	if !ok {
		return w.next.RoundTrip(req)
	}
	var connected atomic.Bool
	resp, err := w.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})))
	if connected.Load() && (err != nil || !nothingDone(resp.StatusCode)) {
		seen.doubt.Store(true)
	}
	return resp, err
}

// nothingDone reports whether an answer with this status says so: that the key is
// not right, that it may not, or that there were too many requests.
func nothingDone(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
}
