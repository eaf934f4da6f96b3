// Package sendgrid sends messages by SendGrid's API: it is the order.Mailer that
// reaches people. sendgrid-go speaks the API.
//
// SendGrid has no idempotency keys: a message that is handed over twice is sent
// twice, and so is one whose first answer was lost and that is sent again. A
// receipt that comes twice is better than one that never comes, so whoever gets an
// order.ErrUnknown may send again, knowing that. The message's key goes along as
// the custom argument "key": nobody acts on it, but it is in SendGrid's events, by
// which two of a kind can be told from two.
//
// There are no retries here. A customer who waits for a page does not wait for
// mail, and whoever has time, as chapter 7's worker, does them better.
//
// In the story, it is the postcard that says thank you.
package sendgrid

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/sendgrid/rest"
	"github.com/sendgrid/sendgrid-go"
	sdk "github.com/sendgrid/sendgrid-go/helpers/mail"

	"clicktocode.example/05-business-logic/order"
)

// maxAnswer is how much of an answer is read, in octets. One with the fault of each
// field is a kilobyte or two.
const maxAnswer = 64 << 10

// maxKey is how long a message's key is at most: all custom arguments together may
// have 10,000 octets.
const maxKey = 1000

// Config is what a Client works with. Key and From are required.
type Config struct {
	// Key is the API key, as in SG.…. It is in no error.
	Key string
	// Host is where the API is, as in https://api.eu.sendgrid.com, or
	// http://127.0.0.1:4243. Empty means https://api.sendgrid.com. It is https,
	// unless it is a loopback address.
	Host string
	// From is who sends, as in "The shop <orders@shop.test>". SendGrid must have
	// verified it, or its domain.
	From string
	// Transport makes the request. It tells by way of httptrace's GotConn when it has
	// a connection, as net/http's does. nil means one of the Client's own, which waits
	// 5 s for a connection.
	Transport http.RoundTripper
	// Timeout is for a Send. 0 means 10 s; it must not be negative. A context's
	// deadline may be earlier.
	Timeout time.Duration
}

// Client is an order.Mailer. Make one with New. It may be used by many goroutines
// at once.
type Client struct {
	key, host string
	from      *mail.Address
	timeout   time.Duration
	api       *rest.Client
	idle      func()
}

var _ order.Mailer = (*Client)(nil)

// New returns a Client that works as c says. It makes no call. err names all faults
// of c at once.
func New(c Config) (*Client, error) {
	from, err := c.check()
	if err != nil {
		return nil, err
	}
	base, idle := c.Transport, func() {}
	if base == nil {
		own := &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		}
		base, idle = own, own.CloseIdleConnections
	}
	return &Client{
		key: c.Key, host: c.Host, from: from, timeout: cmp.Or(c.Timeout, 10*time.Second), idle: idle,
		api: &rest.Client{HTTPClient: &http.Client{ // not rest.DefaultClient, which has no bounds and is everybody's
			Transport:     bounded{base},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for nobody else
		}},
	}, nil
}

func (c Config) check() (from *mail.Address, err error) {
	var faults []error
	if c.Key == "" || strings.ContainsFunc(c.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		faults = append(faults, errors.New("sendgrid: Key must be as in SG.…, without spaces"))
	}
	if c.Host != "" {
		u, err := url.Parse(c.Host)
		switch {
		case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https", u.User != nil, strings.Trim(u.Path, "/") != "", u.RawQuery != "":
			faults = append(faults, errors.New("sendgrid: Host must be as in https://api.sendgrid.com"))
		case u.Scheme == "http" && !loopback(u.Hostname()):
			faults = append(faults, fmt.Errorf("sendgrid: Host %q would send the key and customers' mail in the clear: it must be https", c.Host))
		}
	}
	if from, err = mail.ParseAddress(c.From); err != nil {
		faults = append(faults, fmt.Errorf("sendgrid: From %q must be as in \"The shop <orders@shop.test>\": %w", c.From, err))
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("sendgrid: Timeout is %v, must not be negative", c.Timeout))
	}
	return from, errors.Join(faults...)
}

// loopback reports whether host is this machine, whatever a resolver says.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Close closes connections that are not in use, if they are the Client's own.
func (c *Client) Close() { c.idle() }

// Send implements order.Mailer. It returns when SendGrid has taken m, which is
// before m arrives anywhere: that it bounced, say, comes out later.
//
//	m is at fault: see check           ErrInvalid, and nothing is sent
//	400, 413, 415, 422                 ErrInvalid: so SendGrid says
//	any other 4xx, and 503             ErrUnavailable: the key is not right, say, or
//	                                   there were too many, and nothing was done
//	no connection                      ErrUnavailable
//	no answer, any other status        ErrUnknown: of a 502, nobody knows how far it came
//
// A key that is not right is no fault of m: when there is a right one, m can be sent.
func (c *Client) Send(ctx context.Context, m order.Mail) error {
	if err := check(m); err != nil {
		return fmt.Errorf("sendgrid: send %.100q: %w", m.Key, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sendgrid: send %.100q: %w: %w", m.Key, order.ErrUnavailable, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})

	request := sendgrid.GetRequest(c.key, "/v3/mail/send", strings.TrimRight(c.host, "/"))
	request.Method = rest.Post
	request.Body = sdk.GetRequestBody(c.message(m))
	answer, err := c.api.SendWithContext(ctx, request)
	switch {
	case answer != nil: // also if it broke off: its status is what counts
		err = judge(answer)
	case connected.Load():
		err = fmt.Errorf("%w: %w", order.ErrUnknown, bare(err))
	default:
		err = fmt.Errorf("%w: %w", order.ErrUnavailable, bare(err))
	}
	if err != nil {
		return fmt.Errorf("sendgrid: send %.100q: %w", m.Key, err)
	}
	return nil
}

// check returns an *order.InvalidError if m can never be sent: To is one address
// without a name, Subject one line that is not empty, Text is not empty, and Key has
// at most 1000 octets.
func check(m order.Mail) error {
	switch to, err := mail.ParseAddress(m.To); {
	case err != nil || to.Name != "" || to.Address != m.To:
		return &order.InvalidError{Field: "to", What: fmt.Sprintf("%.100q is no address", m.To)}
	case strings.TrimSpace(m.Subject) == "" || strings.ContainsFunc(m.Subject, unicode.IsControl):
		return &order.InvalidError{Field: "subject", What: "must be one line of text"}
	case m.Text == "":
		return &order.InvalidError{Field: "text", What: "is empty"}
	case len(m.Key) > maxKey:
		return &order.InvalidError{Field: "key", What: fmt.Sprintf("has %d octets, may have %d", len(m.Key), maxKey)}
	}
	return nil
}

// message is m in SendGrid's words. Its links are not to be rewritten, nor is it to
// report that it was read: neither is anybody's business.
func (c *Client) message(m order.Mail) *sdk.SGMailV3 {
	message := sdk.NewV3MailInit(sdk.NewEmail(c.from.Name, c.from.Address), m.Subject, sdk.NewEmail("", m.To), sdk.NewContent("text/plain", m.Text))
	if m.Key != "" {
		message.SetCustomArg("key", m.Key)
	}
	off := false
	return message.SetTrackingSettings(&sdk.TrackingSettings{
		ClickTracking: &sdk.ClickTrackingSetting{Enable: &off, EnableText: &off},
		OpenTracking:  &sdk.OpenTrackingSetting{Enable: &off},
	})
}

// judge says what an answer means.
func judge(answer *rest.Response) error {
	kind := order.ErrUnknown
	switch status := answer.StatusCode; {
	case status/100 == 2:
		return nil
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		kind = order.ErrInvalid
	case status/100 == 4, status == http.StatusServiceUnavailable:
		kind = order.ErrUnavailable
	}
	return fmt.Errorf("%w: status %d%s", kind, answer.StatusCode, explain(answer.Body))
}

// explain is the first fault that an answer names, if it is SendGrid's.
func explain(body string) string {
	var said struct {
		Errors []struct {
			Message string `json:"message"`
			Field   string `json:"field"`
		} `json:"errors"`
	}
	if json.Unmarshal([]byte(body), &said) != nil || len(said.Errors) == 0 {
		return ""
	}
	return fmt.Sprintf(", field %.60q: %.200q", said.Errors[0].Field, said.Errors[0].Message)
}

// bare is err without the method and the URL.
func bare(err error) error {
	if failure := (*url.Error)(nil); errors.As(err, &failure) {
		return failure.Err
	}
	return err
}

// bounded cuts answers off: rest reads all of what comes.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
