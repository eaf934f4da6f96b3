// Package payment calls a payment provider again where that may help, and where
// it can neither charge twice nor be a nuisance.
//
// A charge goes to another company, over a network that breaks. Most faults are
// over in a second: a connection that died, a provider that deploys, a limit
// that was hit. Others never are: a card that was declined will be declined
// again. In the story, the card reader at the table says "please wait", and the
// waiter tries once more; "declined" he does not argue with.
//
// Three things make this safe. Each attempt has the same Idempotency-Key, so the
// provider can tell that it is the same charge. Attempts are few, further and
// further apart, and at random times, so that those who failed together do not
// come back together. And nobody is kept waiting for what they no longer want.
//
// Left out: a limit to an attempt's time, which is Base's (in net/http's
// Transport, ResponseHeaderTimeout; by itself, and uncounted, that one repeats what
// has a key and met a connection that had just been closed); a budget for all calls
// together, which is package budget of chapter 2; and not calling at all while
// nothing works, which is package breaker. The call that fails may have been done
// nevertheless: what that means for an order is package placeorder's.
//
// Source: RFC 9110 §9.2.2 (idempotent methods) and §10.2.3 (Retry-After); "Advanced
// error handling" in Stripe's documentation, and the policy of its client
// libraries; "Exponential Backoff And Jitter" (M. Brooker, AWS, 2015).
package payment

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"clicktocode.example/02-load-balancer/solution/retry"
)

// Config is what a Transport works with. Base is required.
type Config struct {
	// Base makes one attempt. By way of httptrace's GotConn it tells when it has a
	// connection, as net/http's Transport does.
	Base http.RoundTripper
	// Attempts is how often a request is sent at most, the first time included.
	// 0 means 3.
	Attempts int
	// FirstDelay is the longest wait before the second attempt. It doubles with
	// each further one. 0 means 500 ms.
	FirstDelay time.Duration
	// MaxDelay is where doubling ends. 0 means 5 s, or FirstDelay if that is more.
	MaxDelay time.Duration
	// MaxRetryAfter is the longest Retry-After that is waited for. 0 means 20 s.
	MaxRetryAfter time.Duration
	// Random returns a random duration from 0 to longest, which is never negative.
	// It is called by many goroutines at once. nil means math/rand/v2, all
	// durations being equally likely.
	Random func(longest time.Duration) time.Duration
}

// Transport is an http.RoundTripper that tries again. Make one with New.
type Transport struct{ c Config }

// New returns a Transport that works as c says. err names all faults of c at once.
func New(c Config) (*Transport, error) {
	var faults []error
	if c.Base == nil {
		faults = append(faults, errors.New("payment: Base is required"))
	}
	if c.Attempts < 0 {
		faults = append(faults, fmt.Errorf("payment: Attempts is %d, must not be negative", c.Attempts))
	}
	duration := func(name string, d time.Duration) {
		if d < 0 || d > 24*time.Hour {
			faults = append(faults, fmt.Errorf("payment: %s is %v, must be from 0 to 24 h", name, d))
		}
	}
	duration("FirstDelay", c.FirstDelay)
	duration("MaxDelay", c.MaxDelay)
	duration("MaxRetryAfter", c.MaxRetryAfter)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.FirstDelay = cmp.Or(c.FirstDelay, 500*time.Millisecond)
	if c.MaxDelay == 0 {
		c.MaxDelay = max(5*time.Second, c.FirstDelay)
	} else if c.MaxDelay > 0 && c.MaxDelay < c.FirstDelay {
		faults = append(faults, fmt.Errorf("payment: MaxDelay is %v, less than the FirstDelay of %v", c.MaxDelay, c.FirstDelay))
	}
	c.MaxRetryAfter = cmp.Or(c.MaxRetryAfter, 20*time.Second)
	if c.Random == nil {
		c.Random = func(longest time.Duration) time.Duration {
			return rand.N(longest + 1) // it never returns its argument
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Transport{c}, nil
}

// Worth reports whether an attempt that ended with resp, or with err, may go
// better the next time. Exactly one of the two is nil.
//
// No answer below 400 is worth another attempt: that one went well. Of all others
// the provider knows best: Stripe-Should-Retry: true or false decides, if it is
// there. If not, worth it are 409 (another request with the same key is being
// worked on, or an object is locked), 429, 500, 502, 503 and 504. Nothing else is:
// a 402 is a declined card, and most of 4xx say that the request is wrong.
//
// Every error is worth it, but one: a server whose certificate is not trusted
// (*tls.CertificateVerificationError) will not be trusted in a second either.
func Worth(resp *http.Response, err error) bool {
	// TODO(payment): An error first: all but the one named above. Then the answer: below 400,
	// Stripe-Should-Retry, and the six statuses.
	// The reference imports, besides what stands above: "crypto/tls".
	return false
}

// Wait is how long to wait before the next attempt, when n were made, and resp is
// what the last one got: nil, if it got none.
//
// It is Config.Random's choice, from 0 to FirstDelay after the first attempt, to
// twice that after the second, and so on, but never to more than MaxDelay ("full
// jitter"). n is at least 1, and may be so large that doubling n times overflows.
//
// If resp has a Retry-After, that much is added: it says how long the provider
// wants to be left alone. ok is false if that is more than MaxRetryAfter: to come
// earlier than told is no use, and to come then is too late for whoever waits.
func (t *Transport) Wait(n int, resp *http.Response) (wait time.Duration, ok bool) {
	// TODO(payment): Is retryAfter(resp) more than t.c.MaxRetryAfter? Then that is all. Otherwise find
	// the longest delay: t.c.FirstDelay, doubled n-1 times, t.c.MaxDelay at most. Let
	// t.c.Random choose, and add the two.
	return 0, false
}

// RoundTrip sends req, and again, until an attempt is the last one, and returns
// what that one got: the answer, whose body is the caller's to read and close, or
// Base's error. An attempt is the last one
//
//   - when it is the one that Attempts allows
//   - when req's context is done
//   - when another is not Worth it
//   - when req must not be sent again, see [May]
//   - when Wait says so, or when the wait would not end before the deadline of
//     req's context: what is known now is more than what a deadline says later
//
// If the context is done during a wait, RoundTrip returns at once, with an error
// that wraps the context's.
//
// All attempts have the method, the address and the header of req, the same
// Idempotency-Key among it, and a body of their own. The body of an answer that
// is not returned is drained and closed (discard), before the wait, so that its
// connection can serve others. RoundTrip does not change req, and may be called
// by many goroutines at once.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// TODO(payment): For n = 1, 2, …: make an attempt of req (call attempt), and let t.c.Base.RoundTrip
	// send it. Is it the last one? Return what it got. Otherwise discard the answer, if
	// there is one, wait for the time or for the context, whichever is first, and make
	// the request anew (call anew), for its body was read.
	return nil, errors.New("payment: nothing was sent")
}

// May reports whether req may be sent again after an attempt. sent is false if
// that had no connection: then not one byte of req can have arrived.
//
// It takes what chapter 2's retries take: a method that is idempotent or an
// Idempotency-Key, unless nothing was sent. So a POST without a key is never sent
// twice: each would be a charge of its own. And it takes a body that can be had
// once more: none, or one with a GetBody.
func May(req *http.Request, sent bool) bool {
	return retry.May(req, sent) && (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
}

// attempt returns a copy of req that is to be sent once. sent reports, when Base
// has returned, whether anything of it may have gone out: from the moment when it
// had a connection.
func attempt(req *http.Request) (out *http.Request, sent func() bool) {
	connected := new(atomic.Bool) // set by another goroutine, perhaps
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})), connected.Load
}

// anew returns a copy of req with a body that nobody has read from.
func anew(req *http.Request) (*http.Request, error) {
	again := req.WithContext(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("payment: the body for another attempt: %w", err)
		}
		again.Body = body
	}
	return again, nil
}

// discard gives resp's connection back, if resp is not nil. net/http can use one
// again only when the answer before was read to its end; one that goes on for
// ever is not worth it.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		_ = resp.Body.Close()
	}
}

// retryAfter is what Retry-After says, be it in seconds or as a date (RFC 9110
// §10.2.3). It is 0 if resp is nil, or if there is none, or none that can be read,
// or if its time has passed. It is never negative.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	field := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(field, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), math.MaxInt64/int64(time.Second))) * time.Second
	}
	if date, err := http.ParseTime(field); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}
