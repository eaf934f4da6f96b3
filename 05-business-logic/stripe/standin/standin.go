// Package standin stands in for Stripe on a laptop that has no keys: it speaks the
// part of its API that the order service uses, keeps state, and moves no money.
//
//	POST /v1/payment_intents               create; with confirm=true also charge
//	POST /v1/payment_intents/{id}/confirm
//	GET  /v1/payment_intents/{id}
//	GET  /v1/payment_intents               newest first; limit, starting_after
//	GET  /v1/payment_intents/search        query=metadata['order']:'17' AND status:'succeeded'
//	POST /v1/refunds                       all of it, or amount
//	GET  /v1/refunds/{id}
//	GET  /v1/refunds                       as above, of one payment_intent or of all
//
// As Stripe does, it takes forms and answers JSON, wants a key as in sk_test_…,
// refuses parameters that it does not know, remembers for 24 hours what it answered
// to an Idempotency-Key, and says what happens by signed webhooks. Stripe's test
// payment methods do what they do there: pm_card_visa and other cards pay,
// pm_card_chargeDeclined, pm_card_chargeDeclinedInsufficientFunds and the like are
// declined, pm_card_authenticationRequired asks for a confirmation. These are its own:
//
//	pm_standin_flaky            two requests get a 503, and the third one works
//	pm_standin_lost             it works, and the first two answers are lost
//	pm_standin_slow             it works, after Config.Later
//	pm_standin_later            it is processing, and has succeeded Config.Later
//	                            afterwards, which a webhook says
//	pm_standin_later_declined   likewise, but it fails in the end
//
// It is none of a kind with Stripe where that is not said: there is one account, no
// customer, no capture, no dispute, and no limit to amounts but that they are above
// 0. It keeps everything in memory until it ends, but for the keys.
//
// In the story, it is the card reader that the waiters practise with.
package standin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// TestKey is the key that is accepted unless Config says another.
const TestKey = "sk_test_standin"

// Lifetime is how long an Idempotency-Key is remembered.
const Lifetime = 24 * time.Hour

// Config is what a Server works with. The zero Config is fine.
type Config struct {
	// Key is the API key that is accepted. It begins with sk_test_: a live one has no
	// business here. Empty means TestKey.
	Key string
	// WebhookURL is where events are sent. Empty means nowhere.
	WebhookURL string
	// WebhookSecret signs events, as in whsec_…. It is needed if there is a WebhookURL.
	WebhookSecret string
	// Events are the types that are sent, as in payment_intent.succeeded. None means all.
	Events []string
	// Again is how long after a failed delivery the next one is tried. It doubles each
	// time, and after the eighth delivery there is none. 0 means 1 s.
	Again time.Duration
	// Later is how long what is slow takes. 0 means 2 s.
	Later time.Duration
	// Now is the clock for keys and for what is created. nil means time.Now. It may be
	// called by many goroutines at once.
	Now func() time.Time
}

// Fault is what shall happen to a request. The zero Fault is none.
type Fault struct {
	// Delay is how long it takes before anything is done. It ends when the client
	// leaves, or when the Server is closed.
	Delay time.Duration
	// Status is the answer, an error. 0 means the right one, unless Hangup.
	Status int
	// RetryAfter is the answer's header of that name, unless it is empty.
	RetryAfter string
	// Hangup closes the connection. There is no answer.
	Hangup bool
	// Work has the work done first: only the answer is wrong, or lost.
	Work bool
}

// Server is an http.Handler. Make one with New, and end it with Close.
type Server struct {
	c      Config
	mux    *http.ServeMux
	ctx    context.Context // of all that goes on after an answer
	cancel context.CancelFunc
	client *http.Client  // sends webhooks
	places chan struct{} // to be had by those that are being sent

	mu       sync.Mutex // guards what follows
	closed   bool
	tasks    sync.WaitGroup // Go is called under mu, and never once closed
	faults   []Fault
	keys     map[string]*remembered
	order    []*remembered // the same, the oldest first
	intents  []*intent     // in the order in which they were made
	byID     map[string]*intent
	refunds  []*refund
	attempts map[string]int // requests by Idempotency-Key, for pm_standin_flaky and _lost
}

// New returns a Server that works as c says. err names all faults of c at once. No
// key or secret is in it.
func New(c Config) (*Server, error) {
	var faults []error
	c.Key = cmp.Or(c.Key, TestKey)
	if !strings.HasPrefix(c.Key, "sk_test_") {
		faults = append(faults, errors.New("standin: Key must begin with sk_test_: a live key has no business here"))
	}
	if c.WebhookURL != "" {
		if u, err := url.Parse(c.WebhookURL); err != nil || u.Host == "" {
			faults = append(faults, fmt.Errorf("standin: WebhookURL %q is no URL", c.WebhookURL))
		}
		if c.WebhookSecret == "" {
			faults = append(faults, errors.New("standin: WebhookSecret is empty, and there is a WebhookURL"))
		}
	}
	if c.Again < 0 || c.Later < 0 {
		faults = append(faults, fmt.Errorf("standin: Again is %v and Later %v, neither must be negative", c.Again, c.Later))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	c.Again = cmp.Or(c.Again, time.Second)
	c.Later = cmp.Or(c.Later, 2*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{
		c: c, mux: http.NewServeMux(),
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute}},
		places: make(chan struct{}, atOnce),
		keys:   map[string]*remembered{}, byID: map[string]*intent{}, attempts: map[string]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.routes()
	return s, nil
}

// Close ends what goes on after an answer, deliveries of webhooks among it, and
// waits for it. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.tasks.Wait()
	s.client.CloseIdleConnections()
}

// goLocked runs task in a goroutine that Close waits for.
func (s *Server) goLocked(task func()) {
	if !s.closed {
		s.tasks.Go(task)
	}
}

// Serve serves on ln, until ctx is done. It closes ln, and the Server, and waits for
// both. It returns nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer s.Close()
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() {
		s.cancel() // whoever waits inside a handler need not wait any more
		_ = server.Close()
	})
	defer stop()
	if err := server.Serve(ln); ctx.Err() == nil {
		return fmt.Errorf("standin: %w", err)
	}
	return nil
}

// Next has the next requests meet faults, one each, in this order. What it was told
// before comes first.
func (s *Server) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// ServeHTTP answers as Stripe does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Request-Id", id("req"))
	w.Header().Set("Content-Type", "application/json")
	fault := s.fault()
	here, leave := context.WithCancel(r.Context())
	defer leave()
	defer context.AfterFunc(s.ctx, leave)()
	if !wait(here, fault.Delay) {
		panic(http.ErrAbortHandler)
	}
	wrong := fault.Hangup || fault.Status != 0
	if wrong && !fault.Work {
		s.fail(w, fault)
		return
	}
	if key, ok := credentials(r); !ok || subtle.ConstantTimeCompare([]byte(key), []byte(s.c.Key)) != 1 {
		refused(401, "", "", "Invalid API Key provided: "+redacted(key)).write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		refused(400, "", "", "Invalid request body").write(w)
		return
	}
	a := s.answer(w, r)
	if wrong {
		s.fail(w, fault)
		return
	}
	a.write(w)
}

// answer does the work, if it was not done before under the same key.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) reply {
	if _, pattern := s.mux.Handler(r); pattern == "" {
		return refused(404, "", "", fmt.Sprintf("Unrecognized request URL (%s: %s).", r.Method, r.URL.Path))
	}
	work := func() reply {
		into := &capture{}
		s.mux.ServeHTTP(into, r)
		return into.reply
	}
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost || key == "" {
		return s.called(key, r, work)
	}
	if len(key) > 255 {
		return refused(400, "", "", "Idempotency keys may be at most 255 characters long")
	}
	w.Header().Set("Idempotency-Key", key)
	return s.once(w, key, r.URL.Path+"?"+r.PostForm.Encode(), func() reply { return s.called(key, r, work) })
}

// called does work as the payment method of the request wants it, if it is one of
// the stand-in's own.
func (s *Server) called(key string, r *http.Request, work func() reply) reply {
	switch r.PostForm.Get("payment_method") {
	case "pm_standin_flaky":
		if s.attempt(key) <= 2 {
			return failure(503)
		}
	case "pm_standin_slow":
		if !wait(s.ctx, s.c.Later) { // whether the client is still there or not, as with Stripe
			panic(http.ErrAbortHandler)
		}
	}
	return work()
}

// attempt counts the requests with key.
func (s *Server) attempt(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts[key]++
	return s.attempts[key]
}

// fault takes the next fault.
func (s *Server) fault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return Fault{}
	}
	next := s.faults[0]
	s.faults = s.faults[1:]
	return next
}

// fail answers as a fault wants it.
func (s *Server) fail(w http.ResponseWriter, f Fault) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Hangup {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	failure(f.Status).write(w)
}

// reply is an answer.
type reply struct {
	status int
	body   []byte // JSON
}

func (a reply) write(w http.ResponseWriter) {
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// capture is the http.ResponseWriter that a resource writes to.
type capture struct{ reply }

func (c *capture) Header() http.Header         { return http.Header{} }
func (c *capture) WriteHeader(status int)      { c.status = status }
func (c *capture) Write(p []byte) (int, error) { c.body = append(c.body, p...); return len(p), nil }

// ok is a resource.
func ok(resource any) reply {
	body, err := json.Marshal(resource)
	if err != nil {
		return failure(500)
	}
	return reply{200, body}
}

// apiError is an error, as Stripe writes it.
type apiError struct {
	Type          string  `json:"type"`
	Code          string  `json:"code,omitempty"`
	DeclineCode   string  `json:"decline_code,omitempty"`
	Message       string  `json:"message"`
	Param         string  `json:"param,omitempty"`
	Charge        string  `json:"charge,omitempty"`
	PaymentIntent *intent `json:"payment_intent,omitempty"`
}

func (e apiError) reply(status int) reply {
	body, err := json.Marshal(map[string]apiError{"error": e})
	if err != nil {
		return reply{500, []byte(`{"error": {"type": "api_error"}}`)}
	}
	return reply{status, body}
}

// refused is an answer to a request that is wrong.
func refused(status int, code, param, message string) reply {
	return apiError{Type: "invalid_request_error", Code: code, Param: param, Message: message}.reply(status)
}

// failure is an answer by which the request had no chance.
func failure(status int) reply {
	if status == http.StatusTooManyRequests {
		return refused(status, "rate_limit", "", "Request rate limit exceeded.")
	}
	return apiError{Type: "api_error", Message: "Sorry! There was an error while talking to one of our backends."}.reply(status)
}

// credentials is the API key of r, by either of the two ways to send it.
func credentials(r *http.Request) (string, bool) {
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return key, true
	}
	key, _, ok := r.BasicAuth()
	return key, ok
}

// redacted is key as it may stand in an answer.
func redacted(key string) string {
	if len(key) < 16 {
		return strings.Repeat("*", len(key))
	}
	return key[:8] + strings.Repeat("*", len(key)-12) + key[len(key)-4:]
}

// id makes a name for something of that kind.
func id(kind string) string { return kind + "_" + rand.Text()[:24] }

// wait waits for d. It reports false if ctx is done first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// drain reads what is left of an answer, so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
