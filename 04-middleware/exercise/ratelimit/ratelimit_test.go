package ratelimit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/exercise/ratelimit"
	"clicktocode.example/04-middleware/problem"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

func TestKey(t *testing.T) {
	for _, row := range []struct{ name, addr, want, rule string }{
		{"an_IPv4_address_is_a_client", "192.0.2.7", "192.0.2.7/32",
			"an IPv4 address counts alone: its neighbours are other people"},
		{"an_IPv6_client_is_a_network_of_64_bits", "2001:db8:1:2:a:b:c:d", "2001:db8:1:2::/64",
			"a customer gets 64 bits of IPv6 addresses or more (RFC 6177), and may take a new one for every request. So only the first 64 bits count, and the rest is masked away"},
		{"an_IPv4_address_in_IPv6_form_is_the_IPv4_address", "::ffff:192.0.2.7", "192.0.2.7/32",
			"a socket for IPv4 and IPv6 shows an IPv4 client in this form (RFC 4291 §2.5.5.2). It is the same client, and all of IPv4 lies in one network of 64 bits of this form"},
		{"a_zone_is_no_part_of_a_client", "fe80::a%eth0", "fe80::/64",
			"the zone names our own network card, and not the client (RFC 4007 §6)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := call(t, "Key", func() netip.Prefix { return ratelimit.Key(netip.MustParseAddr(row.addr)) })
			require.Equal(t, row.want, got.String(), "Key(%s): %s", row.addr, row.rule)
		})
	}

	t.Run("no_address_is_no_network", func(t *testing.T) {
		require.NotEqual(t, netip.Prefix{}, call(t, "Key", func() netip.Prefix { return ratelimit.Key(netip.MustParseAddr("192.0.2.7")) }), "Key(192.0.2.7): that is an address, and has one")
		require.Equal(t, netip.Prefix{}, call(t, "Key", func() netip.Prefix { return ratelimit.Key(netip.Addr{}) }), "Key of the zero Addr: there is no network that it could be in")
	})
}

func TestLimit(t *testing.T) {
	t.Run("lets_a_burst_in_and_refuses_the_next", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 3})
		got := d.statuses(t, 5, from("192.0.2.7"))
		require.Equal(t, "200 200 200 429 429", got, "5 requests of one client at once, and Burst is 3: the bucket holds 3 tokens, and each request takes one. Whoever finds none is refused with 429 Too Many Requests (RFC 6585 §4). If others are refused, look for a method that asks the computer for the time: here only Config.Now counts, and Allow, Delay, Cancel and Tokens each have a brother that takes it (AllowN, DelayFrom, CancelAt, TokensAt)")
	})

	t.Run("does_not_call_the_handler_for_who_is_refused", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 3})
		d.statuses(t, 5, from("192.0.2.7"))
		require.EqualValues(t, 3, d.served.Load(), "5 requests of one client at once, and Burst is 3: so often the handler behind must have been called. Without c.Abort, or problem.Abort, gin goes on with the next handler, whatever the answer is")
	})

	t.Run("says_why_as_a_problem", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		d.do(t, from("192.0.2.7"))
		resp := d.do(t, from("192.0.2.7"))
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, problem.ContentType, resp.Header.Get("Content-Type"), "the second request of a client whose Burst is 1 was answered with %d and %q: a refusal is a problem document (RFC 9457), by problem.Abort", resp.StatusCode, text)
		var got problem.Details
		require.NoError(t, json.Unmarshal(text, &got), "the problem is %q", text)
		require.Equal(t, http.StatusTooManyRequests, got.Status, "the problem's own status. It is %s", text)
	})

	t.Run("keeps_clients_apart", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 2})
		noisy := d.statuses(t, 4, from("192.0.2.7"))
		quiet := d.statuses(t, 3, from("192.0.2.8"))
		require.Equal(t, "200 200 429 429, 200 200 429", noisy+", "+quiet, "Burst is 2. 4 requests of 192.0.2.7, then 3 of 192.0.2.8: each client has a bucket of its own. With one for all, a single client that asks in a loop shuts everybody out")
	})

	t.Run("gives_no_token_back_before_its_time", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Every(2 * time.Second), Burst: 2})
		got := d.statuses(t, 2, from("192.0.2.7"))
		d.wait(1999 * time.Millisecond)
		got += ", " + d.statuses(t, 1, from("192.0.2.7"))
		require.Equal(t, "200 200, 429", got, "a token every 2 s, and Burst is 2. 2 requests, and 1 more after 1.999 s: a millisecond is missing, and so is a token. Look at the wait as it is: cut to whole seconds, a millisecond is 0, and who has to wait for less than a second gets in. (Seconds are for Retry-After alone)")
	})

	t.Run("gives_a_token_back_in_its_time", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Every(2 * time.Second), Burst: 2})
		got := d.statuses(t, 2, from("192.0.2.7"))
		d.wait(2 * time.Second)
		got += ", " + d.statuses(t, 2, from("192.0.2.7"))
		require.Equal(t, "200 200, 200 429", got, "a token every 2 s, and Burst is 2. 2 requests, and 2 more after 2 s: by then, one token has come back. What counts is the time that Config.Now tells, here a clock that the test sets")
	})

	t.Run("holds_no_more_than_the_burst", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 2})
		d.do(t, from("192.0.2.7"))
		d.wait(time.Hour)
		got := d.statuses(t, 4, from("192.0.2.7"))
		require.Equal(t, "200 200 429 429", got, "a token each second, and Burst is 2. After an hour's rest, 4 requests at once: a bucket that is full does not become fuller, or whoever rests over night might flood us in the morning")
	})

	t.Run("does_not_put_off_the_token_of_who_was_refused", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		before := d.statuses(t, 31, from("192.0.2.7"))
		require.Equal(t, "200"+strings.Repeat(" 429", 30), before, "31 requests of one client at once, and Burst is 1")
		d.wait(time.Second)
		got := d.statuses(t, 2, from("192.0.2.7"))
		require.Equal(t, "200 429", got, "a token each second, and Burst is 1. After 30 refused requests and one second, 2 more: a request that was refused takes no token, also none of those to come. A Reserve that is not cancelled does: after 30 of them, the next free token is half a minute away")
	})

	t.Run("says_when_to_come_again", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Every(8 * time.Second), Burst: 1})
		d.do(t, from("192.0.2.7"))
		d.wait(2 * time.Second)
		resp := d.do(t, from("192.0.2.7"))
		require.Equal(t, "6", resp.Header.Get("Retry-After"), "Retry-After of an answer %d. A token every 8 s, Burst 1; the client took it 2 s ago, so there is one in 6 s. It is a number of seconds (RFC 9110 §10.2.3), and set before problem.Abort sends the answer", resp.StatusCode)
	})

	t.Run("tells_everybody_the_same_who_is_refused_at_once", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Every(10 * time.Second), Burst: 1})
		d.do(t, from("192.0.2.7"))
		got := ""
		for range 3 {
			got += d.do(t, from("192.0.2.7")).Header.Get("Retry-After") + " "
		}
		require.Equal(t, "10 10 10 ", got, "Retry-After of 3 requests that are refused at the same time, with a token every 10 s: whoever is refused has not taken a place in a queue, so the next is not behind it")
	})

	t.Run("rounds_the_wait_up", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Every(1500 * time.Millisecond), Burst: 1})
		d.do(t, from("192.0.2.7"))
		got := d.do(t, from("192.0.2.7")).Header.Get("Retry-After")
		d.wait(1200 * time.Millisecond)
		got += ", " + d.do(t, from("192.0.2.7")).Header.Get("Retry-After")
		require.Equal(t, "2, 1", got, "Retry-After, when the next token comes in 1.5 s, and then in 0.3 s: whole seconds, rounded up. Whoever is told to come in 1 s, or in 0, comes too early, and is refused again")
	})

	t.Run("does_not_believe_what_a_client_says_of_itself", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 2})
		var got []string
		for i := range 4 {
			r := from("192.0.2.7")
			for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
				r.Header.Set(name, fmt.Sprintf("198.51.100.%d", i))
			}
			got = append(got, d.statuses(t, 1, r))
		}
		require.Equal(t, "200 200 429 429", strings.Join(got, " "), "Burst is 2. 4 requests over 192.0.2.7, which is no trusted proxy, each with another address in X-Forwarded-For and the like: everybody can send these fields. The client is what Config.Client says, or else c.ClientIP(), which looks at them only if a trusted proxy sent them")
	})

	t.Run("believes_a_trusted_proxy", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		var got []string
		for _, client := range []string{"198.51.100.1", "198.51.100.1", "198.51.100.2"} {
			r := from(proxy)
			r.Header.Set("X-Forwarded-For", client)
			got = append(got, d.statuses(t, 1, r))
		}
		require.Equal(t, "200 429 200", strings.Join(got, " "), "Burst is 1. 3 requests over the trusted proxy %s, whose X-Forwarded-For says 198.51.100.1, again .1, and then .2: by the address of the connection (RemoteAddr), all who come through the proxy were one client. c.ClientIP() knows who is trusted", proxy)
	})

	t.Run("counts_a_network_of_IPv6_as_one_client", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 2})
		var got []string
		for _, client := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6", "2001:db8:0:1::1"} {
			got = append(got, d.statuses(t, 1, from(client)))
		}
		require.Equal(t, "200 200 429 200", strings.Join(got, " "), "Burst is 2. 3 requests from addresses in 2001:db8::/64, then one in 2001:db8:0:1::/64: a client is what Key says, and the first three are one")
	})

	t.Run("counts_those_without_an_address_together", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 2, Client: func(*gin.Context) netip.Addr { return netip.Addr{} }})
		got := d.statuses(t, 3, from("192.0.2.7"), from("192.0.2.8"), from("192.0.2.9"))
		require.Equal(t, "200 200 429", got, "Burst is 2, and Config.Client returns the zero Addr: of 3 requests without a known address, the third is refused. Whoever hides must not be free of the limit")
	})

	t.Run("makes_no_exceptions", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		for _, addr := range []string{"127.0.0.1", "::1", "192.168.1.7", "198.51.100.7"} {
			got := d.statuses(t, 2, from(addr))
			require.Equal(t, "200 429", got, "Burst is 1, and 2 requests of %s at once: each address has a bucket, also one of our own house. A proxy that is not known as one would bring the whole world in from there", addr)
		}
		d.engine.HEAD("/menu", func(*gin.Context) {})
		d.engine.OPTIONS("/menu", func(*gin.Context) {})
		for i, method := range []string{http.MethodHead, http.MethodOptions} {
			r := from(fmt.Sprintf("192.0.2.%d", i))
			r.Method = method
			require.Equal(t, "200 429", d.statuses(t, 2, r), "Burst is 1, and 2 requests %s /menu of one client at once: whatever the method is, it takes a waiter", method)
		}
	})

	t.Run("asks_Config_who_the_client_is", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1, Client: func(c *gin.Context) netip.Addr {
			return netip.MustParseAddr(c.Request.Header.Get("Test-Client"))
		}})
		var got []string
		for _, client := range []string{"198.51.100.1", "::ffff:198.51.100.1", "198.51.100.2"} {
			r := from("192.0.2.7")
			r.Header.Set("Test-Client", client)
			got = append(got, d.statuses(t, 1, r))
		}
		require.Equal(t, "200 429 200", strings.Join(got, " "), "Burst is 1, and Config.Client names 198.51.100.1, ::ffff:198.51.100.1 (the same), then 198.51.100.2")
	})

	t.Run("remembers_MaxClients_of_them", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1, MaxClients: 2})
		got := d.statuses(t, 5, from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.1"), from("192.0.2.3"), from("192.0.2.2"))
		require.Equal(t, "200 200 429 200 200", got, "MaxClients is 2, Burst is 1. Requests of .1, .2, .1, .3, .2: when .3 comes, it takes the place of .2, who has not been seen for longer than .1, even if .1 was refused. So memory is bounded, and who was forgotten begins with a full bucket")
	})

	t.Run("lets_nobody_wait_for_the_handler_of_another", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		gate, entered := make(chan struct{}), make(chan struct{})
		leave := sync.OnceFunc(func() { close(gate) })
		t.Cleanup(leave)
		d.engine.GET("/slow", func(c *gin.Context) {
			close(entered)
			<-gate
			c.Status(http.StatusOK)
		})
		slow := make(chan int, 1)
		go func() {
			r := from("192.0.2.7")
			r.URL.Path = "/slow"
			w := httptest.NewRecorder()
			d.engine.ServeHTTP(w, r)
			slow <- w.Code
		}()
		await(t, entered, "the first request of a client must get to its handler")
		got := d.statuses(t, 2, from("192.0.2.8"), from("192.0.2.7"))
		leave()
		require.Equal(t, 200, await(t, slow, "the slow handler's answer must come"))
		require.Equal(t, "200 429", got, "Burst is 1. While a request of .7 is with its handler, one of .8 and one of .7 come")
	})

	t.Run("lets_nobody_wait_for_the_refusal_of_another", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		require.Equal(t, "200 429", d.statuses(t, 2, from("192.0.2.7")), "2 requests of one client at once, and Burst is 1")
		slow := &slowWriter{ResponseRecorder: httptest.NewRecorder(), gate: make(chan struct{}), writing: make(chan struct{})}
		leave := sync.OnceFunc(func() { close(slow.gate) })
		t.Cleanup(leave)
		over := make(chan struct{})
		go func() {
			defer close(over)
			d.engine.ServeHTTP(slow, from("192.0.2.7"))
		}()
		await(t, slow.writing, "the third request of a client whose Burst is 1 must be answered with a problem")
		other := make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			d.engine.ServeHTTP(w, from("192.0.2.8"))
			other <- w.Code
		}()
		got := await(t, other, "a request of .7 is refused, and its client takes the answer slowly: sending it blocks. Meanwhile one of .8 must be served. The refusal is sent within With, where only one may be at a time: whoever is refused, and does not read, stops the whole service. Within With, find out; outside of it, answer")
		leave()
		await(t, over, "the refusal must end when its answer is sent")
		require.Equal(t, 200, got, "the status for the request of .8, who has made none before, while .7 is told that it is refused")
	})

	t.Run("keeps_the_clock_and_the_bucket_together", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: 1, Burst: 1})
		second := make(chan string, 1)
		// While the first request asks for the time, ten seconds go by, and another one
		// of the same client comes. Where it gets in meanwhile, it does so at once; where
		// it may not, it comes after the first.
		d.when(func() {
			d.wait(10 * time.Second)
			through := make(chan struct{})
			go func() {
				defer close(through)
				w := httptest.NewRecorder()
				d.engine.ServeHTTP(w, from("192.0.2.7"))
				second <- fmt.Sprint(w.Code)
			}()
			for range 10 {
				select {
				case <-through:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
		first := d.statuses(t, 1, from("192.0.2.7"))
		got := first + " " + await(t, second, "the second request must return") + " " + d.statuses(t, 1, from("192.0.2.7"))
		require.Equal(t, "200 200 429", got, "a token each second, and Burst is 1. A request asks for the time (Config.Now), and before it can take its token, ten seconds go by; then a second request of the same client comes, and then a third. The first has the token of then, the second that of now, and there is none for the third. Ask for the time, and use the bucket, within With: only there is nobody in between, and a bucket that is asked about earlier times counts them twice")
		require.Nil(t, d.fallen.Load(), "the handler panicked")
	})

	t.Run("lets_no_more_in_when_many_come_at_once", func(t *testing.T) {
		const clients, each, burst = 4, 100, 30
		d := open(t, ratelimit.Config{Rate: 1, Burst: burst})
		var all sync.WaitGroup
		gate := make(chan struct{})
		for client := range clients {
			for range each {
				all.Go(func() {
					<-gate
					d.engine.ServeHTTP(httptest.NewRecorder(), from(fmt.Sprintf("192.0.2.%d", client)))
				})
			}
		}
		close(gate)
		call(t, "the handler", func() bool { all.Wait(); return true })
		require.Nil(t, d.fallen.Load(), "the handler panicked")
		require.EqualValues(t, clients*burst, d.served.Load(), "%d clients made %d requests each, all at once, and Burst is %d: so many may have got in. Looking for a token and taking it must be one step", clients, each, burst)
	})
}

// What a Config may hold is given.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("names_all_its_faults_at_once", func(t *testing.T) {
		_, err := ratelimit.New(ratelimit.Config{Rate: -1, Burst: 0, MaxClients: -2})
		require.Error(t, err)
		for _, fault := range []string{"Rate is -1", "Burst is 0", "MaxClients is -2"} {
			assert.Contains(t, err.Error(), "ratelimit: "+fault)
		}
	})

	t.Run("takes_a_rate_of_Inf_for_no_limit", func(t *testing.T) {
		d := open(t, ratelimit.Config{Rate: rate.Inf, Burst: 1})
		assert.Equal(t, "200 200 200", d.statuses(t, 3, from("192.0.2.7")))
	})

	t.Run("takes_its_zero_value_for_a_mistake", func(t *testing.T) {
		_, err := ratelimit.New(ratelimit.Config{})
		assert.ErrorContains(t, err, "Rate")
	})
}

// slowWriter is an answer whose client does not read: sending it blocks until gate is
// closed.
type slowWriter struct {
	*httptest.ResponseRecorder
	gate, writing chan struct{}
	once          sync.Once
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.writing) })
	<-w.gate
	return w.ResponseRecorder.Write(p)
}

// proxy is trusted by the engine of these tests, and nobody else is.
const proxy = "10.0.0.1"

// door is an engine with a limit in front of one handler.
type door struct {
	engine *gin.Engine
	served atomic.Int64 // how often the handler was called
	fallen atomic.Value // the stack of a panic

	mu     sync.Mutex // guards what follows
	now    time.Time
	during func() // is called once, by who asks for the time
}

// open returns a door with this Config, whose clock stands still.
func open(t *testing.T, c ratelimit.Config) *door {
	t.Helper()
	d := &door{engine: gin.New(), now: time.Date(2030, 1, 1, 18, 0, 0, 0, time.UTC)}
	c.Now = func() time.Time {
		d.mu.Lock()
		now, during := d.now, d.during
		d.during = nil
		d.mu.Unlock()
		if during != nil {
			during()
		}
		return now
	}
	limit, err := ratelimit.New(c)
	require.NoError(t, err, "New(%+v)", c)
	require.NoError(t, d.engine.SetTrustedProxies([]string{proxy}))
	d.engine.Use(d.catch, limit)
	d.engine.GET("/menu", func(c *gin.Context) {
		d.served.Add(1)
		c.String(http.StatusOK, "soup")
	})
	return d
}

// catch keeps a panic from ending all tests.
func (d *door) catch(c *gin.Context) {
	defer func() {
		if p := recover(); p != nil {
			d.fallen.Store(fmt.Sprintf("%v\n%s", p, debug.Stack()))
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	}()
	c.Next()
}

// when has f called while the next request asks for the time, which is told as it was
// before.
func (d *door) when(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.during = f
}

// wait sets the clock forward.
func (d *door) wait(time time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(time)
}

// from is a request that comes over a connection from this address.
func from(addr string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/menu", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 49152).String()
	return r
}

// do makes a request, and returns the answer as it was sent.
func (d *door) do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	w := call(t, "the handler", func() *http.Response {
		w := httptest.NewRecorder()
		d.engine.ServeHTTP(w, r)
		return w.Result()
	})
	require.Nil(t, d.fallen.Load(), "the handler panicked")
	return w
}

// statuses makes n requests, these in turn, and returns how they ended.
func (d *door) statuses(t *testing.T, n int, requests ...*http.Request) string {
	t.Helper()
	var all []string
	for i := range n {
		r := requests[i%len(requests)]
		all = append(all, fmt.Sprint(d.do(t, r.Clone(r.Context())).StatusCode))
	}
	return strings.Join(all, " ")
}

// call returns what f returns, and fails if it panics or does not return.
func call[T any](t *testing.T, what string, f func() T) (v T) {
	t.Helper()
	var panicked string
	done := make(chan T, 1)
	go func() {
		var v T
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- v
		}()
		v = f()
	}()
	v = await(t, done, what+" must return at once: it waits for nobody. Is something called within With that takes its time, such as the next handler, or With itself?")
	require.Empty(t, panicked, "%s panicked", what)
	return v
}

// stuck is set when something has not returned, so that all that comes after need
// not be waited for as long.
var stuck atomic.Bool

// await returns what arrives on event, and fails after a second of this program:
// the time that a busy machine lets it stand still does not count.
func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	patience := 100
	if stuck.Load() {
		patience = 20
	}
	for range patience {
		select {
		case v := <-event:
			return v
		case <-time.After(10 * time.Millisecond):
		}
	}
	stuck.Store(true)
	require.Fail(t, "it did not return", why)
	return v
}

// BenchmarkLimit shows what the limit adds to bare gin.
func BenchmarkLimit(b *testing.B) {
	limit, err := ratelimit.New(ratelimit.Config{Rate: 1e9, Burst: 1e9})
	require.NoError(b, err)
	for name, handlers := range map[string][]gin.HandlerFunc{"bare": nil, "limited": {limit}} {
		b.Run(name, func(b *testing.B) {
			engine := gin.New()
			require.NoError(b, engine.SetTrustedProxies([]string{proxy}))
			engine.Use(handlers...)
			engine.GET("/menu", func(*gin.Context) {})
			w, r := httptest.NewRecorder(), from("192.0.2.7")
			b.ReportAllocs()
			for b.Loop() {
				engine.ServeHTTP(w, r)
			}
		})
	}
}
