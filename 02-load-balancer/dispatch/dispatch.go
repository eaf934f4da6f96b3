// Package dispatch is the load balancer for HTTP, put together from its parts:
// it picks a backend for each request, sends the request there, watches what
// comes of it, and tries another backend where that does no harm.
//
//	request → pick (a balancer.Picker) → leastconn.Count → drain.Refuse → upstream
//	             ↑                                                           |
//	             └── retry ← outlier.Report ←────────────────────────────────┘
//
// It is an http.Handler for clients that come over the network, and an
// http.RoundTripper for a proxy in the same process. The handler forwards by
// httputil.ReverseProxy: headers that hold for one connection go no further,
// streams are flushed at once, 1xx answers and protocol upgrades pass.
//
// In the story, this is the traffic cop at work.
//
// Source: RFC 9110 §15.6 (502, 503, 504) and §10.2.3 (Retry-After); Envoy's
// documentation, "Panic threshold"; nginx, for 499.
package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/budget"
	"clicktocode.example/02-load-balancer/solution/drain"
	"clicktocode.example/02-load-balancer/solution/leastconn"
	"clicktocode.example/02-load-balancer/solution/outlier"
	"clicktocode.example/02-load-balancer/solution/retry"
)

// Config is what a Handler is made of. Pool, Picker and Transport are required.
type Config struct {
	// Pool holds the backends. They may come and go while requests are served:
	// those that are with a backend that leaves go on.
	Pool *balancer.Pool
	// Picker chooses among them.
	Picker balancer.Picker
	// Transport carries requests to them, over plain HTTP unless Scheme says
	// otherwise. See upstream.New.
	Transport http.RoundTripper
	// Scheme is "http" or "https". Empty means "http".
	Scheme string

	// Key says which requests belong together. It is handed to Picker. nil is
	// no key.
	Key func(r *http.Request) string
	// Remember, unless nil, may add to the header of an answer from b, for
	// sticky sessions. pool is what b was picked from, key what Key returned.
	Remember func(h http.Header, pool []*balancer.Backend, key string, b *balancer.Backend)

	// Outlier, unless nil, is told what becomes of each attempt. It watches Pool.
	Outlier *outlier.Detector
	// Attempts and Budget bound the retries, as in retry.Config.
	Attempts int
	Budget   *budget.Budget
	// MaxReplay is how large a body, in octets, is kept in memory for another
	// attempt: of requests that may be repeated after they were sent, which is to
	// say of PUT, DELETE and those with an Idempotency-Key, and whose
	// Content-Length is known. Zero means 64 KiB, below zero none is kept. Larger
	// ones are sent as they come, and repeated only if nothing was sent.
	MaxReplay int64

	// Panic is the share of the backends, without those that drain, that is to
	// be available. If fewer are, it is likelier that the checks are wrong, or
	// that the few will fall under the load of all, than that only they are well:
	// all are used then, whatever their state. Zero means 0.5. Below zero, only
	// those that are available are ever used.
	Panic float64

	// RetryAfter is when a client that found no backend may ask again, in whole
	// seconds. Zero means 1 s.
	RetryAfter time.Duration

	// Reveal says in each answer's header which backend gave it, in X-Backend
	// and in Server-Timing, with the number of attempts and the time up to the
	// answer's header. That is good to learn by, and tells strangers how many
	// backends there are and when they fail.
	Reveal bool

	// Log gets what went wrong. nil is slog.Default().
	Log *slog.Logger
}

// StatusClientClosedRequest is what is noted for a client that left before its
// answer came. It never reaches anybody but logs: the name and number are
// nginx's.
const StatusClientClosedRequest = 499

// Handler balances load. Its methods may be called by many goroutines at once.
// Make one with New.
type Handler struct {
	c     Config // without zeros
	retry *retry.Transport
	proxy *httputil.ReverseProxy

	requests, retries, failed, unserved atomic.Uint64 // see Stats
}

// Stats is what a Handler has done so far. All of it only grows.
type Stats struct {
	Requests uint64 // of clients, however many attempts each took
	Retries  uint64 // attempts beyond a request's first
	Failed   uint64 // attempts that got no answer, clients that left meanwhile included
	Unserved uint64 // requests for which no backend was to be had
}

// Stats returns what h has done so far.
func (h *Handler) Stats() Stats {
	return Stats{Requests: h.requests.Load(), Retries: h.retries.Load(), Failed: h.failed.Load(), Unserved: h.unserved.Load()}
}

// New returns a Handler that works as c says. The error names all that is wrong
// with c.
func New(c Config) (*Handler, error) {
	var errs []error
	if c.Pool == nil || c.Picker == nil || c.Transport == nil {
		errs = append(errs, errors.New("dispatch: Pool, Picker and Transport are required"))
	}
	switch c.Scheme {
	case "":
		c.Scheme = "http"
	case "http", "https":
	default:
		errs = append(errs, fmt.Errorf("dispatch: scheme %q: want http or https", c.Scheme))
	}
	if !(c.Panic <= 1) { // nor NaN
		errs = append(errs, fmt.Errorf("dispatch: panic threshold of %v: want a share, up to 1", c.Panic))
	}
	if c.RetryAfter < 0 {
		errs = append(errs, fmt.Errorf("dispatch: retry after %v", c.RetryAfter))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.Panic == 0 {
		c.Panic = 0.5
	}
	if c.MaxReplay == 0 {
		c.MaxReplay = 64 << 10
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Second
	}
	if c.Key == nil {
		c.Key = func(*http.Request) string { return "" }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	h := &Handler{c: c}
	var err error
	if h.retry, err = retry.New(retry.Config{Pick: h.pick, Send: h.send, Attempts: c.Attempts, Budget: c.Budget}); err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	h.proxy = h.newProxy()
	return h, nil
}

// trip is a request on its way through RoundTrip. It travels in the request's
// context, and belongs to one goroutine.
type trip struct {
	pool     []*balancer.Backend // as the request found it, or as it was when that had nobody left
	key      string
	backend  *balancer.Backend // of the last attempt
	attempts int
}

type tripKey struct{}

// RoundTrip sends r to one of the backends, whatever host r's URL names, and to
// another where package retry allows it. When there is none, its error is
// balancer.ErrNoBackend, wrapped.
func (h *Handler) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	h.requests.Add(1)
	trip := &trip{pool: h.c.Pool.Backends(), key: h.c.Key(r)}
	out := r.WithContext(context.WithValue(r.Context(), tripKey{}, trip))
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = clientBody{r.Body}
	}
	if err := h.keepBody(out); err != nil {
		return nil, err
	}
	resp, err := h.retry.RoundTrip(out)
	if err != nil {
		if Status(r, err) == http.StatusServiceUnavailable {
			h.unserved.Add(1)
		}
		return nil, err
	}
	if h.c.Remember != nil {
		h.c.Remember(resp.Header, trip.pool, trip.key, trip.backend)
	}
	if h.c.Reveal {
		resp.Header.Set("X-Backend", trip.backend.Name())
		resp.Header.Add("Server-Timing", trip.timing(time.Since(began)))
	}
	return resp, nil
}

// timing says in a member of Server-Timing who answered, and when.
func (t *trip) timing(took time.Duration) string {
	b := append(make([]byte, 0, 64), "upstream;desc="...) // fmt would take as long as picking and counting together
	b = strconv.AppendQuote(b, t.backend.Name()+", attempt "+strconv.Itoa(t.attempts))
	b = append(b, ";dur="...)
	return string(strconv.AppendFloat(b, float64(took)/float64(time.Millisecond), 'f', 3, 64))
}

// keepBody reads r's body into memory where that makes r repeatable.
func (h *Handler) keepBody(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || r.ContentLength < 1 || r.ContentLength > h.c.MaxReplay {
		return nil
	}
	if r.Header.Get("Expect") != "" {
		return nil // reading the body would ask the client for it, before a backend has said that it wants it
	}
	var text []byte
	getBody := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	r.GetBody = getBody
	if !retry.May(r, true) {
		r.GetBody = nil
		return nil
	}
	text = make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, text)
	_ = r.Body.Close()
	if err == io.EOF || err == io.ErrUnexpectedEOF { // of a caller of RoundTrip: a server's bodies say it themselves
		err = &bodyError{io.ErrUnexpectedEOF}
	}
	if err != nil {
		return err
	}
	r.Body, _ = getBody()
	return nil
}

// clientBody is a body whose errors can be told from the backend's.
type clientBody struct{ io.ReadCloser }

func (c clientBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

// bodyError is that the client's body could not be read.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "dispatch: reading the request's body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// pick chooses the backend for r's next attempt: one that is not in tried.
func (h *Handler) pick(r *http.Request, tried []*balancer.Backend) *balancer.Backend {
	trip := r.Context().Value(tripKey{}).(*trip)
	if h.panics(trip.pool) && len(tried) == 0 {
		return anyOf(trip.pool, nil)
	}
	if b := balancer.PickUntried(h.c.Picker, trip.pool, tried, trip.key); b != nil {
		return b
	}
	if h.c.Outlier != nil && h.c.Outlier.Review() {
		if b := balancer.PickUntried(h.c.Picker, trip.pool, tried, trip.key); b != nil {
			return b
		}
	}
	if trip.pool = h.c.Pool.Backends(); h.panics(trip.pool) {
		return anyOf(trip.pool, tried) // a retry goes here last: what is available is the better guess for it
	}
	return balancer.PickUntried(h.c.Picker, trip.pool, tried, trip.key) // all may have been replaced since the request came
}

// panics reports whether too few of pool are available to be relied on.
func (h *Handler) panics(pool []*balancer.Backend) bool {
	if h.c.Panic < 0 {
		return false
	}
	available, all := 0, 0
	for _, b := range pool {
		if b.Available() {
			available++
		}
		if b.State() != "draining" {
			all++
		}
	}
	return float64(available) < h.c.Panic*float64(all)
}

// anyOf is a random one of pool that is not draining, nor among tried; nil if
// there is none.
func anyOf(pool, tried []*balancer.Backend) (b *balancer.Backend) {
	seen := 0
	for _, other := range pool {
		if other.State() == "draining" || slices.Contains(tried, other) {
			continue
		}
		if seen++; rand.IntN(seen) == 0 { // the n-th replaces those before it with a chance of 1 in n: all are as likely
			b = other
		}
	}
	return b
}

// send makes one attempt, at b.
func (h *Handler) send(r *http.Request, b *balancer.Backend) (*http.Response, error) {
	trip := r.Context().Value(tripKey{}).(*trip)
	trip.backend = b
	if trip.attempts++; trip.attempts > 1 {
		h.retries.Add(1)
	}
	out := r.WithContext(r.Context()) // r is not ours to change, and neither is its URL
	url := *r.URL
	url.Scheme, url.Host = h.c.Scheme, b.Addr()
	out.URL = &url
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	resp, err := leastconn.Count(drain.Refuse(h.c.Transport, b), b).RoundTrip(out)
	var body *bodyError
	if h.c.Outlier != nil && !errors.As(err, &body) { // otherwise a client that breaks off its uploads has backends ejected
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		h.c.Outlier.Report(b, status, err)
	}
	if err != nil {
		h.failed.Add(1)
		h.c.Log.Warn("dispatch: attempt failed", "backend", b.Name(), "attempt", trip.attempts, "method", r.Method, "err", err)
	}
	return resp, err
}
