package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/budget"
	"clicktocode.example/02-load-balancer/exercise/retry"
)

func TestMay(t *testing.T) {
	t.Run("anything_that_was_not_sent", func(t *testing.T) {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			req := request(t, method, body{text: "one soup"})
			require.True(t, retry.May(req, false), "%s with a body, no Idempotency-Key, and no connection was had: not a byte was sent, so no backend can have done anything, and it may be sent elsewhere", method)
		}
		assert.False(t, retry.May(request(t, "POST", body{}), true), "POST without an Idempotency-Key, and it was sent: it must not be sent again")
	})

	t.Run("a_method_that_is_idempotent", func(t *testing.T) {
		const why = "%q without a body or Idempotency-Key, and it was sent: may it be sent again? A proxy must not repeat a request unless its method is idempotent (RFC 9110 §9.2.2)"
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", ""} {
			require.True(t, retry.May(request(t, method, body{}), true), why, method)
		}
		for _, method := range []string{"POST", "PATCH", "CONNECT", "ORDER", "get"} {
			require.False(t, retry.May(request(t, method, body{}), true), why+". A method is known by its capitals (§9.1): get is another one than GET, and nobody knows what it does", method)
		}
	})

	t.Run("a_request_that_has_a_key", func(t *testing.T) {
		for _, key := range []string{"order-17", ""} {
			for _, method := range []string{"POST", "PATCH"} {
				req := request(t, method, body{})
				req.Header.Set("Idempotency-Key", key)
				require.Equal(t, key != "", retry.May(req, true), "%s, Idempotency-Key %q, and it was sent: may it be sent again? By a key the backend can tell that it has done the work before, and by an empty one it cannot", method, key)
			}
		}
	})

	t.Run("a_body_that_is_there_once_more", func(t *testing.T) {
		for _, row := range []struct {
			is   string
			body body
			want bool
			why  string
		}{
			{"a nil Body", body{}, true, "there is no body, so there is none to begin anew"},
			{"http.NoBody", body{none: true}, true, "that is how net/http says that there is no body, as well as by nil: there is none to begin anew"},
			{"a body and a GetBody", body{text: "one soup", again: true}, true, "GetBody returns the body anew"},
			{"a body and no GetBody", body{text: "one soup"}, false, "the failed attempt has read from the body, how far nobody knows, and only GetBody can begin it anew"},
			{"a body of unknown length and no GetBody", body{text: "one soup", unknown: true}, false, "there is a body, whatever ContentLength says, which is 0 where nobody knows; and only GetBody can begin it anew"},
		} {
			require.Equal(t, row.want, retry.May(request(t, "PUT", row.body), true), "PUT with %s, and it was sent: may it be sent again? %s", row.is, row.why)
			keyed := request(t, "POST", row.body)
			keyed.Header.Set("Idempotency-Key", "order-17")
			require.Equal(t, row.want, retry.May(keyed, true), "POST with an Idempotency-Key and %s, and it was sent: may it be sent again? By the key it does no harm twice, which is one thing. The other is its body: %s", row.is, row.why)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	t.Run("returns_the_first_answer", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, good, good)
		k.gets(t, request(t, "GET", body{}), "a: ", "backend a is there and answers")
		assert.Equal(t, "a", k.asked(), "backend a answered: nobody else is to be asked")
	})

	t.Run("returns_an_error_page_as_it_is", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, sorry, good)
		resp, err := k.do(t, request(t, "GET", body{}))
		require.NoError(t, err, "backend a answered 500, and an answer is no error")
		resp.Body.Close()
		assert.Equal(t, http.StatusInternalServerError, resp.StatusCode, "backend a answered 500: its answer is passed on")
		assert.Equal(t, "a", k.asked(), "backend a answered 500. It did its work, so the request is not tried elsewhere")
	})

	t.Run("goes_elsewhere_after_a_dial_that_failed", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, dead, good)
		k.gets(t, request(t, "GET", body{}), "b: ", "backend a could not be dialled, b is there: GET must go there")
		assert.Equal(t, "a b", k.asked(), "the backends asked, in order")
	})

	t.Run("repeats_a_GET_that_got_no_answer", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, rude, good)
		k.gets(t, request(t, "GET", body{}), "b: ", "backend a took the request and hung up: GET asks for something and orders nothing, so it may be repeated (RFC 9110 §9.2.2)")
	})

	t.Run("asks_none_twice_while_there_is_another", func(t *testing.T) {
		k := kitchens(t, retry.Config{Attempts: 4}, dead, rude, dead, good)
		k.gets(t, request(t, "GET", body{}), "d: ", "backends a, b and c fail, d is there, and 4 attempts are allowed")
		assert.Equal(t, "a b c d", k.asked(), "the backends asked, in order. Pick leaves out those that it is told were tried: it must be told all of them")
	})

	t.Run("sends_a_POST_elsewhere_when_nothing_was_sent", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, dead, dead, good)
		k.gets(t, request(t, "POST", body{text: "one soup"}), "c: one soup", "POST with neither an Idempotency-Key nor a GetBody, as clients send it. Backends a and b could not be dialled, so nothing was sent, and nothing read from the body: it must go to c as it is")
	})

	t.Run("sends_the_whole_body_again", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, rude, dead, good)
		text := strings.Repeat("one soup. ", 1000)
		req := request(t, "PUT", body{text: text, again: true})
		k.gets(t, req, "c: "+text, "PUT with a GetBody. Backend a read the body to its end and hung up, b could not be dialled, and the transport closed the body: c must get all of it. A body can be used once, so each further attempt needs a new one from GetBody")
	})

	t.Run("repeats_no_POST_that_was_sent", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, rude, good)
		_, err := k.do(t, request(t, "POST", body{text: "one soup", again: true}))
		require.Equal(t, "a", k.asked(), "POST without an Idempotency-Key. Backend a took it and hung up: it may have cooked the soup. It must not be repeated, or the customer gets, and pays for, two (RFC 9110 §9.2.2). Call sent when Send has returned: before, nothing has been sent yet")
		require.Error(t, err, "backend a gave no answer, and nobody else was asked")
	})

	t.Run("repeats_a_POST_that_has_a_key", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, rude, good)
		keyed := request(t, "POST", body{text: "one soup", again: true})
		keyed.Header.Set("Idempotency-Key", "order-17")
		k.gets(t, keyed, "b: one soup", "POST with an Idempotency-Key and a GetBody. Backend a took it and hung up: it may be sent to b, since by its key the backends can tell that it is the same order")
	})

	t.Run("does_not_change_the_request", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, rude, good)
		req := request(t, "PUT", body{text: "one soup", again: true})
		was := req.Body
		k.gets(t, req, "b: one soup", "PUT with a GetBody; backend a hung up, b answers")
		assert.Same(t, was, req.Body, "the caller's request must be as it was: an http.RoundTripper changes nothing about it. Give a new body to the copy that attempt returns")
	})

	t.Run("stops_at_the_limit_of_attempts", func(t *testing.T) {
		for attempts, want := range map[int]string{1: "a", 2: "a b", 4: "a b c d", 0: "a b c"} {
			k := kitchens(t, retry.Config{Attempts: attempts}, dead, dead, dead, dead, dead, dead)
			_, err := k.do(t, request(t, "GET", body{}))
			require.Equal(t, want, k.asked(), "Attempts %d (0 means 3), and 6 backends that cannot be dialled: the backends asked", attempts)
			require.ErrorIs(t, err, errRefused, "the error must be, or wrap (fmt.Errorf with %w), that of the last attempt")
		}
		k := kitchens(t, retry.Config{}, dead)
		_, err := k.do(t, request(t, "GET", body{}))
		require.Error(t, err, "the only backend cannot be dialled")
		assert.Equal(t, "a a a", k.asked(), "the only backend cannot be dialled, and Pick returns it again, since there is no other: so it is asked again, up to the limit of attempts. It may be back by then")
		_, err = kitchens(t, retry.Config{Attempts: 2}, rude, dead).do(t, request(t, "GET", body{}))
		assert.ErrorIs(t, err, errRefused, "Attempts 2; backend a hung up, b could not be dialled: the error must be, or wrap, that of the last attempt, which was at b")
	})

	t.Run("stops_when_there_is_no_backend", func(t *testing.T) {
		k := kitchens(t, retry.Config{})
		_, err := k.do(t, request(t, "GET", body{}))
		require.ErrorIs(t, err, balancer.ErrNoBackend, "Pick returned nil at once: there is no backend, and nothing could be tried")

		k = kitchens(t, retry.Config{}, dead)
		k.once = true
		_, err = k.do(t, request(t, "GET", body{}))
		require.Equal(t, "a", k.asked(), "the only backend could not be dialled, and Pick returned nil when asked for another")
		assert.ErrorIs(t, err, errRefused, "one attempt was made: its error says more than that there is no further backend")
	})

	t.Run("stops_when_the_client_has_left", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, dead, good)
		ctx, leave := context.WithCancel(t.Context())
		k.before = func(string) { leave() }
		_, err := k.do(t, request(t, "GET", body{}).WithContext(ctx))
		require.Equal(t, "a", k.asked(), "the client left (the request's context is done) while backend a was tried, which failed: nobody waits for an answer, so nobody else is to be asked")
		assert.Error(t, err)

		k = kitchens(t, retry.Config{}, dead, good)
		ctx, leave = context.WithCancel(t.Context())
		k.after = leave
		_, err = k.do(t, request(t, "GET", body{}).WithContext(ctx))
		require.Equal(t, "a", k.asked(), "backend a could not be dialled, and then the client left: the attempt's error does not say so, the request's context does. Nobody waits for an answer, so nobody else is to be asked")
		assert.ErrorIs(t, err, errRefused, "backend a could not be dialled, and then the client left: the error must be, or wrap, that of the attempt. Who reads of a client that left learns nothing of backend a")
	})

	t.Run("stops_when_there_is_no_new_body", func(t *testing.T) {
		k := kitchens(t, retry.Config{}, dead, good)
		req := request(t, "PUT", body{text: "one soup", again: true})
		req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
		_, err := k.do(t, req)
		require.Equal(t, "a", k.asked(), "PUT with a body. Backend a could not be dialled, and GetBody failed: without its body the order must go nowhere")
		assert.ErrorIs(t, err, errRefused, "the error must be, or wrap, that of the last attempt; errors.Join adds GetBody's")
	})

	t.Run("pays_only_for_retries_that_take_place", func(t *testing.T) {
		fifth, err := budget.New(0.2, 0)
		require.NoError(t, err)
		k := kitchens(t, retry.Config{Budget: fifth}, rude, good)
		for range 5 {
			_, err := k.do(t, request(t, "POST", body{}))
			require.Error(t, err, "POST without an Idempotency-Key, and backend a hung up: it must not be repeated")
			k.round()
		}
		k.gets(t, request(t, "GET", body{}), "b: ", "a budget of 20 %. Five requests failed that must not be retried, and the sixth is a GET, which may: the budget has one retry for it, unless the five asked for it in vain")
	})

	t.Run("stops_when_the_budget_is_used_up", func(t *testing.T) {
		fifth, err := budget.New(0.2, 0)
		require.NoError(t, err)
		k := kitchens(t, retry.Config{Budget: fifth, Attempts: 2}, dead, dead)
		for range 100 {
			_, err := k.do(t, request(t, "GET", body{}))
			require.ErrorIs(t, err, errRefused)
			k.round()
		}
		assert.Equal(t, 100+20, int(k.sends.Load()), "a budget of a fifth, 100 requests, and no backend can be dialled: that makes 100 attempts and 20 retries. Without a bound, retries double the load, just when the backends have too much of it. Budget.Request is called once for each request, Budget.Retry last of all before each retry, since it counts when it says yes")
	})

	t.Run("pays_for_no_retry_that_never_takes_place", func(t *testing.T) {
		fifth, err := budget.New(0.2, 0)
		require.NoError(t, err)
		once := kitchens(t, retry.Config{Budget: fifth, Attempts: 1}, dead)
		for range 5 {
			_, err := once.do(t, request(t, "GET", body{}))
			require.ErrorIs(t, err, errRefused)
			once.round()
		}
		_, err = kitchens(t, retry.Config{Budget: fifth, Attempts: 2}, dead, good).do(t, request(t, "GET", body{}))
		require.NoError(t, err, "a budget of a fifth: five requests that may be sent once alone have used up none of it, so the sixth may be retried. Ask the budget last: its yes is paid for")
	})

	t.Run("closes_the_body_in_the_end", func(t *testing.T) {
		for _, backends := range [][]behaviour{{dead, good}, {dead, dead, dead}, {rude, good}} {
			k := kitchens(t, retry.Config{}, backends...)
			req := request(t, "POST", body{text: "one soup"})
			closed := make(chan bool, 9)
			req.Body = closing{req.Body, closed}
			if resp, err := k.do(t, req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			require.NotEmpty(t, k.asked(), "the request must be sent")
			await(t, closed, "a RoundTripper closes the request's body, when all attempts have failed, too (RoundTrip does, if try returns an error)")
		}
	})

	t.Run("leaves_no_further_body_open", func(t *testing.T) {
		for _, row := range []struct {
			why      string
			once     bool
			backends []behaviour
		}{
			{"Backend a hung up, b could not be dialled, c answered: Send closes what it is given", false, []behaviour{rude, dead, good}},
			{"Backend a, the only one, hung up, and Pick returned nil when asked for another: a body made by then is sent to nobody, so nobody closes it. Make it when there is a backend to send it to", true, []behaviour{rude}},
		} {
			k := kitchens(t, retry.Config{}, row.backends...)
			k.once = row.once
			req := request(t, "PUT", body{text: "one soup", again: true})
			getBody, made, closed := req.GetBody, 0, make(chan bool, tooMany)
			first := make(chan bool, 1)
			req.Body = &closedOnce{ReadCloser: req.Body, closed: first}
			req.GetBody = func() (io.ReadCloser, error) {
				made++
				body, err := getBody()
				return &closedOnce{ReadCloser: body, closed: closed}, err
			}
			if resp, err := k.do(t, req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			require.NotEmpty(t, k.asked(), "the request must be sent")
			await(t, first, "PUT with a GetBody: the body that came with the request must be closed, too. The first attempt is made with it, which closes it")
			for range made {
				await(t, closed, fmt.Sprintf("PUT with a GetBody, which was called %d times; each body that it returns must be closed. %s", made, row.why))
			}
		}
	})
}

// body is a request's body.
type body struct {
	text  string // none, if it is empty
	again bool   // there is a GetBody
	none  bool   // it is http.NoBody

	unknown bool // its length is not told
}

// request is one as a server receives it: without a GetBody, unless told otherwise.
func request(t *testing.T, method string, b body) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.test/orders", nil)
	require.NoError(t, err)
	req.Method = method
	switch {
	case b.none:
		req.Body = http.NoBody
	case b.text != "":
		if !b.unknown {
			req.ContentLength = int64(len(b.text))
		}
		req.Body = &reader{strings.NewReader(b.text)}
	}
	if b.again {
		req.GetBody = func() (io.ReadCloser, error) { return &reader{strings.NewReader(b.text)}, nil }
	}
	return req
}

// reader is a body that cannot be read any more when it is closed.
type reader struct{ *strings.Reader }

func (r *reader) Close() error {
	r.Reader = strings.NewReader("")
	return nil
}

// closing tells when it is closed.
type closing struct {
	io.ReadCloser
	closed chan bool
}

func (c closing) Close() error {
	select {
	case c.closed <- true:
	default:
	}
	return c.ReadCloser.Close()
}

// closedOnce tells when it is closed for the first time.
type closedOnce struct {
	io.ReadCloser
	once   sync.Once
	closed chan bool
}

func (c *closedOnce) Close() error {
	c.once.Do(func() { c.closed <- true })
	return c.ReadCloser.Close()
}

// behaviour is what a backend does.
type behaviour int

const (
	good  behaviour = iota // says its name and what it got
	sorry                  // answers 500
	rude                   // reads the request to its end, and hangs up
	dead                   // cannot be dialled
)

// kitchen is a Transport over real backends, named a, b, c.
type kitchen struct {
	*retry.Transport
	backends []*balancer.Backend
	once     bool // Pick returns no backend twice
	before   func(name string)
	after    func() // when Send is about to return
	sends    atomic.Int64

	mu    sync.Mutex // guards what follows
	names []string   // asked, since the last round
}

// tooMany attempts are no limit any more: their goroutine ends there.
const tooMany = 500

// errRefused is what dialling a dead backend gives.
var errRefused = errors.New("connection refused")

func kitchens(t *testing.T, c retry.Config, behaviours ...behaviour) *kitchen {
	t.Helper()
	k := &kitchen{before: func(string) {}, after: func() {}}
	refused := map[string]bool{}
	for i, what := range behaviours {
		name, addr := string(rune('a'+i)), fmt.Sprintf("127.0.0.1:%d", i+1)
		if what == dead {
			refused[addr] = true
		} else {
			addr = serve(t, name, what)
		}
		b, err := balancer.NewBackend(name, addr, 1)
		require.NoError(t, err)
		k.backends = append(k.backends, b)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if refused[addr] {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errRefused}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c.Pick = func(_ *http.Request, tried []*balancer.Backend) *balancer.Backend {
		for _, b := range k.backends {
			if !slices.Contains(tried, b) {
				return b
			}
		}
		if len(k.backends) == 0 || k.once {
			return nil
		}
		return k.backends[0]
	}
	c.Send = func(req *http.Request, b *balancer.Backend) (*http.Response, error) {
		if k.sends.Add(1) > tooMany {
			runtime.Goexit()
		}
		k.mu.Lock()
		k.names = append(k.names, b.Name())
		k.mu.Unlock()
		k.before(b.Name())
		defer func() { k.after() }()
		if req == nil {
			return nil, errors.New("Send was called without a request")
		}
		out := req.Clone(req.Context())
		out.URL.Host = b.Addr()
		return transport.RoundTrip(out)
	}
	var err error
	k.Transport, err = retry.New(c)
	require.NoError(t, err)
	return k
}

// serve starts a backend, and returns its address.
func serve(t *testing.T, name string, what behaviour) string {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		switch what {
		case rude:
			panic(http.ErrAbortHandler)
		case sorry:
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintf(w, "%s: %s", name, text)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// asked is which backends were asked since the last round.
func (k *kitchen) asked() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.names, " ")
}

func (k *kitchen) round() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.names = nil
}

// do calls RoundTrip, and fails if it does not come back.
func (k *kitchen) do(t *testing.T, req *http.Request) (*http.Response, error) {
	t.Helper()
	type result struct {
		resp     *http.Response
		err      error
		panicked string
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errors.New("too many attempts")}
		defer func() {
			if p := recover(); p != nil {
				r.panicked = fmt.Sprintf("%v, at %s", p, regexp.MustCompile(`retry\.go:\d+`).FindString(string(debug.Stack())))
			}
			done <- r
		}()
		r.resp, r.err = k.RoundTrip(req)
	}()
	r := await(t, done, "RoundTrip must return: every backend here fails or answers at once")
	require.Empty(t, r.panicked, "RoundTrip panicked. Pick returns nil when it has no backend; Body and GetBody may be nil, too")
	require.Less(t, int(k.sends.Load()), tooMany, "%s: that many attempts were made (the test stops there). There is a limit of attempts", req.Method)
	require.True(t, (r.resp == nil) != (r.err == nil), "RoundTrip returned response %v and error %v: it must be either an answer or an error", r.resp, r.err)
	return r.resp, r.err
}

// gets sends req, and asserts what is answered.
func (k *kitchen) gets(t *testing.T, req *http.Request, want, why string) {
	t.Helper()
	resp, err := k.do(t, req)
	require.NoError(t, err, "%s. It was sent to: %s", why, k.asked())
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err, why)
	require.Equal(t, want, string(got), "%s. It was sent to: %s", why, k.asked())
}

// await returns what arrives on event, and fails after two seconds of this
// program: the time that a busy machine lets it stand still does not count.
func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	for range 200 {
		select {
		case v := <-event:
			return v
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.Fail(t, "nothing happened for two seconds", why)
	return v
}
