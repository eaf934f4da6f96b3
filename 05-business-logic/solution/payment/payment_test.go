package payment_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/solution/payment"
)

func TestWorth(t *testing.T) {
	t.Run("a_fault_that_passes", func(t *testing.T) {
		for _, status := range []int{503, 502, 504, 500, 429, 409} {
			assert.True(t, payment.Worth(answer(status), nil), "%d %s: the fault is the provider's, or of the moment, and the next attempt may go better", status, http.StatusText(status))
		}
	})

	t.Run("no_answer_that_is_final", func(t *testing.T) {
		for _, status := range []int{402, 400, 401, 403, 404, 408, 422, 424, 425, 501, 505, 200, 201, 303} {
			why := "it is none of the six that the doc comment names"
			switch {
			case status == 402:
				why = "the card was declined, and asking again neither changes that nor pleases the bank"
			case status < 400:
				why = "it went well, and the next attempt would be a second charge"
			}
			require.False(t, payment.Worth(answer(status), nil), "%d %s: %s", status, http.StatusText(status), why)
		}
		assert.True(t, payment.Worth(answer(503), nil), "503 Service Unavailable, however, is worth another attempt")
	})

	t.Run("what_the_provider_says", func(t *testing.T) {
		for _, row := range []struct {
			status int
			says   string
			want   bool
		}{
			{400, "true", true}, {424, "true", true},
			{500, "false", false}, {409, "false", false}, {429, "false", false},
			{200, "true", false},
			{503, "", true}, {503, "perhaps", true}, {503, "0", true}, {503, "FALSE", true}, {400, "1", false},
		} {
			resp := answer(row.status, "Stripe-Should-Retry", row.says)
			require.Equal(t, row.want, payment.Worth(resp, nil), "%d with Stripe-Should-Retry: %q. From 400 on, true or false decides, whatever the status: the provider knows best whether it would be the same answer. Anything else says nothing", row.status, row.says)
		}
	})

	t.Run("an_error", func(t *testing.T) {
		for _, err := range []error{errRefused, errReset, io.ErrUnexpectedEOF, io.EOF, errors.New("net/http: timeout awaiting response headers"), os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled} {
			assert.True(t, payment.Worth(nil, err), "the attempt got no answer, but the error %q: another may. Every error is worth it but a certificate's; whether the caller still waits, RoundTrip asks", err)
		}
	})

	t.Run("no_certificate_that_is_not_trusted", func(t *testing.T) {
		err := fmt.Errorf("dial: %w", &tls.CertificateVerificationError{Err: errors.New("signed by unknown authority")})
		require.False(t, payment.Worth(nil, err), "the error wraps a *tls.CertificateVerificationError: it is not Stripe who is there, or the clock is wrong, and neither is over in a second")
		assert.True(t, payment.Worth(nil, errReset), "a connection that broke, however, is worth another attempt")
	})
}

func TestWait(t *testing.T) {
	t.Run("doubles_the_longest_delay", func(t *testing.T) {
		transport := transport(t, payment.Config{FirstDelay: 100 * time.Millisecond, MaxDelay: time.Minute, Random: longest})
		for n, want := range []time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1600} {
			if n > 0 {
				wait, ok := transport.Wait(n, nil)
				require.True(t, ok, "after attempt %d, no answer: nobody forbids another attempt, so ok must be true", n)
				require.Equal(t, want*time.Millisecond, wait, "FirstDelay 100 ms, and Config.Random chooses the longest that it is asked for: what is the wait after attempt %d? The limit doubles each time, so that a provider in trouble is called less and less", n)
			}
		}
	})

	t.Run("ends_at_MaxDelay", func(t *testing.T) {
		transport := transport(t, payment.Config{FirstDelay: 100 * time.Millisecond, MaxDelay: time.Second, Random: longest})
		for _, n := range []int{5, 6, 30, 38, 39, 63, 64, 65, 100, math.MaxInt32} {
			wait := time.Duration(-1)
			require.NotPanics(t, func() { wait, _ = transport.Wait(n, nil) }, "the wait after attempt %d", n)
			require.Equal(t, time.Second, wait, "FirstDelay 100 ms, MaxDelay 1 s, and Config.Random chooses the longest that it is asked for: what is the wait after attempt %d? Never more than MaxDelay, and 100 ms doubled 40 times is more than a time.Duration can hold", n)
		}
	})

	t.Run("ends_at_MaxDelay_however_far_that_is", func(t *testing.T) {
		const day = 24 * time.Hour
		transport := transport(t, payment.Config{FirstDelay: 1, MaxDelay: day, Random: longest})
		for n := 48; n < 130; n++ {
			wait, _ := transport.Wait(n, nil)
			require.Equal(t, day, wait, "FirstDelay 1 ns, MaxDelay 24 h, and Config.Random chooses the longest that it is asked for: what is the wait after attempt %d? 1 ns doubled %d times is more than 24 h. Double as often as is said, and compare each time: what does not fit into a time.Duration may come out as any number", n, n-1)
		}
	})

	t.Run("is_anything_up_to_the_longest", func(t *testing.T) {
		share := 0.0
		transport := transport(t, payment.Config{FirstDelay: time.Second, Random: func(longest time.Duration) time.Duration {
			return time.Duration(share * float64(longest))
		}})
		for _, share = range []float64{1, 0.5, 0.1, 0} {
			wait, _ := transport.Wait(2, nil)
			require.InDelta(t, share*2, wait.Seconds(), 0.001, "FirstDelay 1 s, after attempt 2, and Config.Random chooses %.1f of the longest that it is asked for (0 to 2 s): that is the wait, in seconds. With full jitter all of it is random, down to 0. Whatever part is fixed is a time when nobody comes, and after which all do who failed together", share)
		}
	})

	t.Run("adds_Retry-After_in_seconds", func(t *testing.T) {
		transport := transport(t, payment.Config{FirstDelay: 100 * time.Millisecond, Random: longest})
		for _, status := range []int{429, 503} {
			wait, ok := transport.Wait(2, answer(status, "Retry-After", "7"))
			require.True(t, ok, "%d with Retry-After: 7. That is less than MaxRetryAfter (20 s): there may be another attempt", status)
			require.Equal(t, 7*time.Second+200*time.Millisecond, wait, "%d with Retry-After: 7, after attempt 2, and Config.Random chooses the longest, 200 ms. The provider wants to be left alone for 7 s (RFC 9110 §10.2.3), and the random part comes on top: without it, all that were told 7 come back in the same moment", status)
		}
	})

	t.Run("adds_Retry-After_as_a_date", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // its clock stands still
			transport := transport(t, payment.Config{FirstDelay: 100 * time.Millisecond, Random: longest})
			date := time.Now().UTC().Add(7 * time.Second).Format(http.TimeFormat)
			wait, _ := transport.Wait(1, answer(503, "Retry-After", date))
			require.Equal(t, 7*time.Second+100*time.Millisecond, wait, "503 with Retry-After: %s, which is in 7 s. It may be a date as well as seconds (RFC 9110 §10.2.3); retryAfter reads both", date)
		})
	})

	t.Run("does_not_wait_for_too_long_a_Retry-After", func(t *testing.T) {
		transport := transport(t, payment.Config{MaxRetryAfter: 10 * time.Second, Random: longest})
		_, ok := transport.Wait(1, answer(503, "Retry-After", "10"))
		require.True(t, ok, "503 with Retry-After: 10, and MaxRetryAfter is 10 s: that is still waited for")
		for _, long := range []string{"11", "86400", "9223372036854775807"} {
			_, ok = transport.Wait(1, answer(503, "Retry-After", long))
			require.False(t, ok, "503 with Retry-After: %s, and MaxRetryAfter is 10 s: ok must be false. To come earlier than told is no use, and nobody waits that long for a page", long)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	t.Run("returns_the_first_answer", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, status(200))
			resp, err := p.do(t, charge(t))
			require.NoError(t, err, "the provider is there, and answers 200: send the request, by t.c.Base.RoundTrip, and return the answer")
			assert.Equal(t, "answer 1", read(resp), "the body of what RoundTrip returned. It is the caller's: it must be neither read nor closed")
			assert.Equal(t, 1, p.calls(), "so many attempts, when the first one got a 200")
		})
	})

	t.Run("tries_again_after_a_fault_that_passes", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, status(503), status(200))
			resp, err := p.do(t, charge(t))
			require.NoError(t, err, "the first attempt got a 503, the second a 200")
			assert.Equal(t, 200, resp.StatusCode, "the first attempt got a 503, which is Worth another one, and that got a 200: the last answer is the one to return")
		})
	})

	t.Run("tries_again_after_a_dial_that_failed", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, refused, refused, status(200))
			req := charge(t)
			req.Header.Del("Idempotency-Key")
			resp, err := p.do(t, req)
			require.NoError(t, err, "POST without an Idempotency-Key. Two attempts could not connect, so nothing was sent, and the third got a 200. Give May what sent() says")
			assert.Equal(t, 200, resp.StatusCode)
		})
	})

	t.Run("takes_no_for_an_answer", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, status(402), status(200))
			resp, err := p.do(t, charge(t))
			require.NoError(t, err, "the provider answered 402, and an answer is no error for an http.RoundTripper")
			require.Equal(t, 402, resp.StatusCode, "the first attempt got a 402: the card was declined, and that is not Worth another one")
			assert.Equal(t, "answer 1", read(resp), "the 402's body says why it was declined: it is the caller's to read")
		})
	})

	t.Run("sends_the_same_key_each_time", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, lost, status(500), status(200))
			_, err := p.do(t, charge(t))
			require.NoError(t, err, "POST with Idempotency-Key: order-17. The answer to the first attempt was lost, the second got a 500, the third a 200")
			assert.Equal(t, []string{"order-17", "order-17", "order-17"}, p.seen(func(r seen) string { return r.key }), "the Idempotency-Keys of the three attempts. An answer that was lost may have been a yes. Only by the same key the provider can tell that the next attempt is the same charge; by another, the customer pays again")
		})
	})

	t.Run("sends_the_whole_body_each_time", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, lost, refused, status(200))
			_, err := p.do(t, charge(t))
			require.NoError(t, err, "POST with an Idempotency-Key. The answer to the first attempt was lost, the second could not connect, the third got a 200")
			assert.Equal(t, []string{order, order, order}, p.seen(func(r seen) string { return r.body }), "the bodies of the three attempts. The first attempt has read its body to the end, and closed it: each further one needs a new one (anew makes it, by GetBody)")
		})
	})

	t.Run("repeats_no_POST_without_a_key", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, lost, status(200))
			req := charge(t)
			req.Header.Del("Idempotency-Key")
			_, err := p.do(t, req)
			require.Equal(t, 1, p.calls(), "POST without an Idempotency-Key. It was sent, and the answer was lost: so many attempts. Another might be a second charge (RFC 9110 §9.2.2). May knows")
			require.ErrorIs(t, err, errReset, "the one attempt's error is to be returned")
		})
	})

	t.Run("returns_the_last_answer", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{Attempts: 4}, status(500), lost, status(503), status(503), status(200))
			resp, err := p.do(t, charge(t))
			require.Equal(t, 4, p.calls(), "Attempts is 4, and none of the first four went well: so many attempts. Without a bound, a provider that is down is called for ever")
			require.NoError(t, err, "the fourth and last attempt got a 503, and an answer is no error")
			assert.Equal(t, "answer 4", read(resp), "the body of what RoundTrip returned: the last attempt's, open and unread")
		})
	})

	t.Run("returns_the_last_error", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{Attempts: 2}, status(503), refused, status(200))
			_, err := p.do(t, charge(t))
			require.ErrorIs(t, err, errRefused, "Attempts is 2. The first got a 503, the second could not connect: the last attempt's error is to be returned, or wrapped")
		})
	})

	t.Run("waits_between_attempts", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{Attempts: 4, FirstDelay: time.Second, MaxDelay: time.Minute, Random: longest}, status(503), refused, lost, status(200))
			_, err := p.do(t, charge(t))
			require.NoError(t, err, "the fourth attempt, of four, got a 200")
			assert.Equal(t, []string{"0s", "1s", "3s", "7s"}, p.seen(func(r seen) string { return r.after.String() }), "when the attempts were made. FirstDelay is 1 s, and Config.Random chooses the longest: Wait says 1 s after the first attempt, 2 s after the second, 4 s after the third")
		})
	})

	t.Run("leaves_the_provider_alone_while_it_says_so", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{Random: func(time.Duration) time.Duration { return 0 }}, status(429, "Retry-After", "7"), status(200))
			_, err := p.do(t, charge(t))
			require.NoError(t, err, "the first attempt got a 429, the second a 200")
			assert.Equal(t, []string{"0s", "7s"}, p.seen(func(r seen) string { return r.after.String() }), "when the attempts were made. The first one's answer was 429 with Retry-After: 7, and Config.Random adds 0. Give Wait the answer")
		})
	})

	t.Run("does_not_wait_beyond_the_deadline", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{FirstDelay: 3 * time.Second, Random: longest}, status(503), status(200))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			start := time.Now()
			resp, err := p.do(t, charge(t).WithContext(ctx))
			require.Equal(t, 1, p.calls(), "the caller's deadline is in 2 s, and the wait would be 3 s: so many attempts")
			require.Zero(t, time.Since(start), "the first attempt got a 503, the wait would be 3 s, and the caller's deadline is in 2 s. After so long RoundTrip returned. It must return at once: to wait for a deadline is to have nobody left to tell")
			require.NoError(t, err, "the first attempt got a 503: that answer is known, and says more than an error")
			assert.Equal(t, "answer 1", read(resp), "the body of what RoundTrip returned: the first attempt's, open and unread. Ask for the deadline before you discard it")
		})
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{FirstDelay: 2 * time.Second, Random: longest}, status(503), status(200))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			resp, err := p.do(t, charge(t).WithContext(ctx))
			require.NoError(t, err, "the first attempt got a 503, the wait would be 2 s, and the caller's deadline is in 2 s: it would not end before the deadline, so that answer is the one to return")
			require.Equal(t, 503, resp.StatusCode, "the first attempt got a 503, the wait would be 2 s, and the caller's deadline is in 2 s")
		})
	})

	t.Run("does_not_come_back_earlier_than_told", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, status(429, "Retry-After", "3600"), status(200))
			resp, err := p.do(t, charge(t))
			require.NoError(t, err, "the provider answered 429 with Retry-After: 3600, and an answer is no error")
			require.Equal(t, 1, p.calls(), "the provider answered 429 with Retry-After: 3600, and MaxRetryAfter is 20 s: Wait says no (ok is false), so there is no other attempt, and least of all one at once. So many attempts")
			require.Equal(t, 429, resp.StatusCode, "the only attempt got a 429: that is returned")
			assert.Equal(t, "answer 1", read(resp), "the body of what RoundTrip returned: the first attempt's, open and unread")
		})
	})

	t.Run("stops_at_once_when_cancelled", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{FirstDelay: time.Minute, MaxDelay: time.Minute, Random: longest}, status(503), status(200))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			_, err := p.do(t, charge(t).WithContext(ctx))
			require.Equal(t, 1, p.calls(), "the first attempt got a 503, the wait is 1 min, and the caller's context was cancelled after 1 s: so many attempts")
			require.Equal(t, time.Second, time.Since(start), "the first attempt got a 503, the wait is 1 min, and the caller's context was cancelled after 1 s. After so long RoundTrip returned. A wait must end with the context, too: a select of both, where time.Sleep sleeps through")
			require.ErrorIs(t, err, context.Canceled, "RoundTrip was cancelled while it waited: its error says so")
		})
	})

	t.Run("makes_no_attempt_for_one_who_has_left", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := provider(t, payment.Config{Random: longest}, func(r *http.Request) (*http.Response, error) {
				cancel()
				return lost(r)
			}, status(200))
			_, err := p.do(t, charge(t).WithContext(ctx))
			require.Equal(t, 1, p.calls(), "the caller's context was cancelled during the first attempt, which failed. So many attempts: nobody waits for another")
			require.ErrorIs(t, err, errReset, "the caller's context was cancelled during the first attempt, which failed: that attempt was the last one, and its error is returned. Ask ctx.Err() before you begin to wait")
		})
		inBubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := provider(t, payment.Config{Random: longest}, func(r *http.Request) (*http.Response, error) {
				cancel()
				return status(503)(r)
			}, status(200))
			resp, err := p.do(t, charge(t).WithContext(ctx))
			require.NoError(t, err, "the caller's context was cancelled during the first attempt, which got a 503 nevertheless: that attempt was the last one, and its answer is known, so it is returned. Ask ctx.Err() before you begin to wait")
			require.Equal(t, 503, resp.StatusCode, "the answer to the only attempt")
		})
	})

	t.Run("does_not_change_the_request", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{}, lost, status(200))
			req := charge(t)
			body, header := req.Body, req.Header.Clone()
			_, err := p.do(t, req)
			require.NoError(t, err, "POST with an Idempotency-Key: the first attempt's answer was lost, the second got a 200")
			assert.Same(t, body, req.Body, "the Body of the caller's request must be what it was: a RoundTripper changes nothing about the request. Give a new body to a copy, as anew does")
			assert.Equal(t, header, req.Header, "the header of the caller's request must be what it was")
		})
	})

	t.Run("gives_connections_back", func(t *testing.T) {
		var requests, connections atomic.Int32
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1)%3 != 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, strings.Repeat("please wait. ", 1000))
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		base := &http.Transport{}
		t.Cleanup(func() {
			base.CloseIdleConnections()
			server.CloseClientConnections()
			server.Close()
		})
		transport := transport(t, payment.Config{Base: base, Random: func(time.Duration) time.Duration { return 0 }})
		for range 5 {
			req := charge(t)
			req.URL.Host = server.Listener.Addr().String()
			resp, err := call(transport, req, 5*time.Second)
			require.NoError(t, err, "a server that answers 503, 503, 200, each with a body of 13 KB")
			require.Equal(t, 200, resp.StatusCode, "a server that answers 503, 503, 200: the third attempt of three is the last one")
			read(resp)
		}
		assert.EqualValues(t, 1, connections.Load(), "so many connections, for 5 requests of 3 attempts each, one after the other. net/http uses a connection again when the answer before was read to its end and closed: what is not returned must be discarded, before the next attempt. Otherwise each retry leaves a connection open, to a provider that has too many anyway")
	})

	t.Run("discards_an_answer_before_it_waits", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			p := provider(t, payment.Config{FirstDelay: time.Minute, MaxDelay: time.Minute, Random: longest}, status(503), status(200))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			closed := -1
			time.AfterFunc(time.Second, func() { closed = p.closed(); cancel() })
			_, err := p.do(t, charge(t).WithContext(ctx))
			require.ErrorIs(t, err, context.Canceled, "RoundTrip was cancelled while it waited: its error says so")
			require.Equal(t, 1, closed, "so many bodies were closed, 1 s into a wait of 1 min after a 503. That answer will not be returned: discard it before the wait, so that its connection can serve others meanwhile, and so that nobody forgets it if the wait is cut short")
		})
	})
}

//workshop:guard TestNew/names_all_faults_at_once
func TestNew(t *testing.T) {
	t.Run("names_all_faults_at_once", func(t *testing.T) {
		_, err := payment.New(payment.Config{Attempts: -1, FirstDelay: -2, MaxDelay: -3, MaxRetryAfter: 48 * time.Hour})
		for _, name := range []string{"Base", "Attempts", "FirstDelay", "MaxDelay", "MaxRetryAfter"} {
			require.ErrorContains(t, err, name)
		}
		_, err = payment.New(payment.Config{Base: http.DefaultTransport, FirstDelay: 2 * time.Second, MaxDelay: time.Second})
		require.ErrorContains(t, err, "less than the FirstDelay")
		_, err = payment.New(payment.Config{Base: http.DefaultTransport, FirstDelay: 10 * time.Second})
		require.NoError(t, err)
	})
}

// order is what is paid for.
const order = "amount=1250&currency=eur&payment_method=pm_card_visa"

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
)

// longest is the Random that tests need.
func longest(d time.Duration) time.Duration { return d }

func transport(t *testing.T, c payment.Config) *payment.Transport {
	t.Helper()
	if c.Base == nil {
		c.Base = http.DefaultTransport
	}
	transport, err := payment.New(c)
	require.NoError(t, err)
	return transport
}

// charge is a request as Stripe's client makes it.
func charge(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://payment.test/v1/payment_intents", nil)
	require.NoError(t, err)
	body := func() (io.ReadCloser, error) { return &reader{strings.NewReader(order)}, nil }
	req.Body, _ = body()
	req.GetBody = body
	req.ContentLength = int64(len(order))
	req.Header.Set("Idempotency-Key", "order-17")
	return req
}

// reader is a body that cannot be read any more when it is closed.
type reader struct{ *strings.Reader }

func (r *reader) Close() error {
	r.Reader = strings.NewReader("")
	return nil
}

// answer is an answer with a header of names and values; an empty value is none.
func answer(status int, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	for pair := range slices.Chunk(header, 2) {
		if pair[1] != "" {
			resp.Header.Set(pair[0], pair[1])
		}
	}
	return resp
}

func read(resp *http.Response) string {
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(text)
}

// step is what becomes of an attempt.
type step func(*http.Request) (*http.Response, error)

func status(status int, header ...string) step {
	return func(r *http.Request) (*http.Response, error) {
		connect(r)
		return answer(status, header...), nil
	}
}

// refused is an attempt that could not connect.
func refused(*http.Request) (*http.Response, error) { return nil, errRefused }

// lost is an attempt whose answer did not come.
func lost(r *http.Request) (*http.Response, error) {
	connect(r)
	return nil, errReset
}

// connect says that there is a connection, as net/http does.
func connect(r *http.Request) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
}

// providing is a Transport over a provider that does as it is told.
type providing struct {
	*payment.Transport
	start time.Time
	steps []step

	mu   sync.Mutex // guards what follows
	came []seen
	shut int // bodies that were closed
}

// body is one that tells when it is closed.
type body struct {
	io.Reader
	close func()
}

func (b *body) Close() error {
	b.close()
	return nil
}

// closed is how many bodies of answers were closed.
func (p *providing) closed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shut
}

// seen is an attempt.
type seen struct {
	key, body string
	after     time.Duration
}

// tooMany attempts are no limit any more: their goroutine ends there.
const tooMany = 100

func provider(t *testing.T, c payment.Config, steps ...step) *providing {
	t.Helper()
	p := &providing{start: time.Now(), steps: steps}
	c.Base = p
	p.Transport = transport(t, c)
	return p
}

// RoundTrip hides Transport's: it is that one's Base.
func (p *providing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r == nil {
		return nil, errors.New("Base was called without a request")
	}
	this := seen{key: strings.Join(r.Header.Values("Idempotency-Key"), ", "), after: time.Since(p.start)}
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		this.body = string(text)
	}
	p.mu.Lock()
	p.came = append(p.came, this)
	n := len(p.came)
	p.mu.Unlock()
	if n > tooMany {
		runtime.Goexit()
	}
	resp, err := p.steps[min(n, len(p.steps))-1](r)
	if resp != nil {
		resp.Body = &body{strings.NewReader(fmt.Sprintf("answer %d", n)), sync.OnceFunc(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.shut++
		})}
	}
	return resp, err
}

func (p *providing) do(t *testing.T, req *http.Request) (*http.Response, error) {
	t.Helper()
	return call(p.Transport, req, time.Hour)
}

func (p *providing) calls() int { return len(p.seen(func(r seen) string { return r.key })) }

// seen is one thing of each attempt.
func (p *providing) seen(what func(seen) string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, r := range p.came {
		all = append(all, what(r))
	}
	return all
}

// call calls RoundTrip, and waits for it so long.
func call(transport *payment.Transport, req *http.Request, limit time.Duration) (*http.Response, error) {
	var resp *http.Response
	err := fmt.Errorf("RoundTrip made %d attempts, and no end of it", tooMany)
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err = transport.RoundTrip(req)
		if resp == nil && err == nil {
			err = errors.New("RoundTrip returned neither an answer nor an error")
		}
	}()
	select {
	case <-done:
		return resp, err
	case <-time.After(limit):
		return nil, fmt.Errorf("RoundTrip has not returned after %v", limit)
	}
}

// inBubble runs a leaf whose waits take no time.
func inBubble(t *testing.T, leaf func(*testing.T)) { synctest.Test(t, leaf) }
