// Package retry tries a request elsewhere when the backend that it was sent to
// failed, where that can do no harm.
//
// A backend can always be gone when a request meets it: health checks look once
// in a while, and connections break when they like. A client need not notice,
// if another backend answers. But a failure does not tell what was done before
// it: an order that got no answer may have been cooked. In the story, the waiter
// whom one kitchen sent away goes to the next, unless the first may be cooking
// the dish already.
//
// Source: RFC 9110 §9.2.2 (idempotent methods, and what a proxy must not
// retry); draft-ietf-httpapi-idempotency-key-header; golang/go #16036, on bodies.
package retry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/budget"
)

// Config is what a Transport works with. Pick and Send are required.
type Config struct {
	// Pick returns the backend that req goes to next: one that is not in tried,
	// the backends that failed it so far, as long as there is another. nil is
	// none, or none that is left. It keeps and changes neither argument.
	Pick func(req *http.Request, tried []*balancer.Backend) *balancer.Backend

	// Send carries req to b, and returns b's answer or an error, as an
	// http.RoundTripper does. As that, it does not change req. By way of
	// httptrace's GotConn it tells when it has a connection, as net/http's
	// transport does.
	Send func(req *http.Request, b *balancer.Backend) (*http.Response, error)

	// Attempts is how often a request is sent at most. Below 1 it is 3.
	Attempts int

	// Budget is for all requests together. nil is one of 20 %, and 10 a second.
	Budget *budget.Budget
}

// Transport is an http.RoundTripper over several backends. Make one with New.
type Transport struct {
	pick     func(*http.Request, []*balancer.Backend) *balancer.Backend
	send     func(*http.Request, *balancer.Backend) (*http.Response, error)
	attempts int
	budget   *budget.Budget
}

// New returns a Transport that works as c says.
func New(c Config) (*Transport, error) {
	if c.Pick == nil || c.Send == nil {
		return nil, errors.New("retry: Pick and Send are required")
	}
	t := &Transport{pick: c.Pick, send: c.Send, attempts: c.Attempts, budget: c.Budget}
	if t.attempts < 1 {
		t.attempts = 3
	}
	if t.budget == nil {
		t.budget, _ = budget.New(0.2, 10) // neither is negative
	}
	return t, nil
}

// RoundTrip sends req to one backend after the other until one answers. An
// answer is an answer: a 500 is passed on, for the backend did its work.
//
// A failed attempt is the last one when that is the limit of attempts; when the
// client has left, which is to say that req's context is done; when req must
// not be sent again, see [May]; when the budget allows no retry; or when Pick
// has no backend; or when GetBody fails. The error is, or wraps, that of the last
// attempt then, also when the client has left. If there was none, because Pick
// had no backend to begin with, it is, or wraps, balancer.ErrNoBackend.
//
// As every RoundTripper it closes req.Body, on errors, too, and changes nothing
// else about req. So it does with what GetBody returned: Send closes what it is
// given. It may be called by many goroutines at once.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.try(req)
	if err != nil && req.Body != nil {
		_ = req.Body.Close() // attempt may have held it open, for another that did not take place
	}
	return resp, err
}

// May reports whether req may be sent to another backend after an attempt that
// failed. sent is false when that attempt had no connection, so that not one
// byte of req can have arrived anywhere.
//
// If nothing was sent, any request may. Otherwise it must be harmless twice:
// its method is GET, HEAD, OPTIONS, TRACE, PUT or DELETE (RFC 9110 §9.2.2, in
// capitals, §9.1; "" means GET), or it has an Idempotency-Key that is not empty, by which the
// backend can tell a repetition. And then, be it by method or by key, its body must
// be there once more: there is none (Body is nil or http.NoBody), or GetBody
// returns it anew.
func May(req *http.Request, sent bool) bool {
	// TODO(retry): Three questions, in the order of the comment above. Was anything sent?
	// Does it do harm twice? Is the body there once more?
	// The reference imports, besides what stands above: "fmt".
	return false
}

// try does what RoundTrip says, but for closing the body.
func (t *Transport) try(req *http.Request) (*http.Response, error) {
	// TODO(retry): Note the request in the budget. Then, again and again: pick a backend, make
	// an attempt of req (call attempt), send it. Return an answer at once. After an
	// error ask whether there may be another attempt, the budget last.
	// If req has a GetBody, each further attempt needs a body of its own from it: put
	// it into the copy that attempt returns. Only Send closes it, so make it when there
	// is a backend to send it to.
	return nil, errors.New("retry: nothing was sent")
}

// attempt returns a copy of req that is to be sent once. sent reports, when
// that has failed, whether anything of it may have gone out: from the moment
// when it had a connection.
//
// A transport closes the body also when it had no connection for it. If req has
// no GetBody, as requests that a server receives have none, then out's body
// stays open in that case, unread, and may be sent by the next attempt.
func attempt(req *http.Request) (out *http.Request, sent func() bool) {
	connected := new(atomic.Bool) // set by another goroutine, perhaps
	out = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		out.Body = held{req.Body, connected}
	}
	return out, connected.Load
}

// held is a body that is closed only if there was a connection to send it by.
type held struct {
	io.ReadCloser
	connected *atomic.Bool
}

func (h held) Close() error {
	if h.connected.Load() {
		return h.ReadCloser.Close()
	}
	return nil
}
