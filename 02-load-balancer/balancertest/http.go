package balancertest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// httpCase is one case of Run.
type httpCase struct {
	named
	run func(b *bench)
}

var overHTTP = []httpCase{
	{named{"forwards_what_it_gets", "a proxy changes neither the request's target nor its content, and hands the answer on as it is (RFC 9110 §7.7)"}, forwards},
	{named{"gives_each_its_turn", "turns are fair: n requests for k backends are n/k for each"}, turns},
	{named{"gives_each_its_turn_with_many_at_once", "turns are fair, and none fails, whoever asks at once (mosn #1663)"}, turnsAtOnce},
	{named{"gives_the_neighbour_of_a_dead_one_no_double_load", "the turns of a dead backend go to all others alike: with twice the load, its neighbour is next to fall (caddy #880)"}, neighbour},

	{named{"takes_out_a_backend_whose_checks_fail", "a backend that says that it is not well gets no requests"}, takesOut},
	{named{"brings_back_a_backend_whose_checks_succeed", "a backend that is well again gets its turns again"}, bringsBack},
	{named{"lets_requests_finish_at_a_backend_that_is_taken_out", "to take a backend out is to send it no new requests; what runs comes to its end"}, finishes},
	{named{"loses_no_GET_when_a_backend_dies", "a GET can be repeated (RFC 9110 §9.2.2), so as long as one backend lives, none fails"}, losesNone},
	{named{"uses_a_backend_that_was_dead", "a backend that is back gets its turns again"}, usesAgain},
	{named{"answers_502_or_503_when_all_are_dead", "with nobody to ask, a client is told so (RFC 9110 §15.6), and is served as soon as somebody is back"}, allDead},
	{named{"answers_504_when_a_backend_is_silent", "a wait has an end, and a name (RFC 9110 §15.6.5)"}, silent},

	{named{"repeats_a_GET_elsewhere", "a GET that got no answer may be repeated (RFC 9110 §9.2.2)"}, repeatsGET},
	{named{"repeats_a_POST_that_was_not_sent", "where no connection could be made nothing has happened, and any request may go elsewhere"}, repeatsUnsent},
	{named{"sends_no_POST_twice", "a proxy must not repeat a request that is not idempotent (RFC 9110 §9.2.2): the order may be in the oven"}, sendsOnce},

	{named{"reuses_connections", "64 callers need 64 connections, once: dialled anew for each request, ports run out (golang/go #13801, #6785)"}, reuses},
	{named{"survives_backends_that_hang_up_when_idle", "a connection may be closed at any time between two requests (RFC 9112 §9.5): its next GET must not fail for that"}, hangUp},

	{named{"carries_large_bodies", "however large, both ways"}, large},
	{named{"passes_an_answer_as_it_comes", "what is written and flushed arrives, though there is no end in sight (golang/go #41642, #27816)"}, streamsAnswer},
	{named{"passes_a_request_as_it_comes", "a body need not have an end to be sent on"}, streamsRequest},
	{named{"breaks_off_an_answer_that_was_broken_off", "half an answer must not look like a whole one (RFC 9112 §8)"}, breaksOff},
	{named{"passes_trailers_of_an_answer", "fields behind a chunked body (RFC 9110 §6.5)"}, answerTrailers},
	{named{"passes_trailers_of_a_request", "fields behind a chunked body (RFC 9110 §6.5)"}, requestTrailers},
	{named{"passes_early_hints", "a proxy forwards 1xx answers (RFC 9110 §15.2; golang/go #26088)"}, earlyHints},
	{named{"gets_a_body_that_waits_for_100", "a client that says Expect: 100-continue is told to go on, by whomever (RFC 9110 §10.1.1)"}, continues},
	{named{"lets_a_backend_refuse_a_body", "a client that says Expect: 100-continue is spared a body that the backend does not want (RFC 9110 §10.1.1)"}, refuses},

	{named{"joins_a_WebSocket", "behind 101 Switching Protocols the connection belongs to the two ends (RFC 9110 §7.8); what came in one packet with the 101 is theirs, too (golang/go #80875)"}, upgrades},
	{named{"lets_a_WebSocket_client_be_done_first", "its half of the connection has ended, and not the other (RFC 9293 §3.6; golang/go #35892)"}, upgradeHalfClose},

	{named{"tells_a_backend_that_writes_that_the_client_left", "otherwise it writes an answer for nobody to its end"}, leavesStream},
	{named{"tells_a_backend_that_thinks_that_the_client_left", "otherwise impatient clients, who ask again, pile up work; but who takes a client's FIN for that cannot serve one that is only done sending"}, leavesWaiting},
	{named{"serves_a_client_that_is_done_sending", "a FIN says that no more is sent, not that nothing is read (RFC 9293 §3.6); but who believes that cannot tell when a client has left"}, halfClosed},
}

func forwards(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Dish", "soup")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %q %s", r.Method, r.RequestURI, r.Host, r.Header["Guest"], body)
	})
	req := r.request(http.MethodPut, "/menu/%2Fa%20b?q=1&q=2", strings.NewReader("one soup"))
	req.Host = "shop.test"
	req.Header["Guest"] = []string{"ann", "bob"}
	got := r.do(req)
	require.NoError(r, got.err)
	assert.Equal(r, http.StatusTeapot, got.StatusCode, "the status")
	assert.Equal(r, "soup", got.Header.Get("Dish"), "a field of the answer")
	assert.Equal(r, `PUT /menu/%2Fa%20b?q=1&q=2 shop.test ["ann" "bob"] one soup`, got.text, "what reached the backend")
}

func turns(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	assert.Equal(r, map[string]int{"a": 10, "b": 10, "c": 10}, r.tally(30, "all are well"), "30 requests, one after the other")
}

func turnsAtOnce(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for range 25 {
				answer := r.do(r.request(http.MethodGet, "/", nil))
				mu.Lock()
				got[fmt.Sprint(answer.StatusCode, " ", answer.text)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	assert.Equal(r, []string{"200 a", "200 b", "200 c"}, slices.Sorted(maps.Keys(got)), "300 requests, 12 at once: who answered")
	for name, n := range got {
		assert.InDelta(r, 100, n, 10, "300 requests, 12 at once: %q", name)
	}
}

func neighbour(b *bench) {
	r := b.over(says("a"), says("b"), says("c"), says("d"))
	r.backends["b"].kill()
	var got map[string]int
	defer func() {
		if r.Failed() {
			r.Logf("the last 60: %v", got)
		}
	}()
	eventually(r, func() bool {
		got = r.tally(60, "b is dead, the others live")
		return min(got["a"], got["c"], got["d"]) >= 17
	}, "b is dead: of 60 requests a, c and d get 20 each, give or take 3")
}

func takesOut(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	r.backends["b"].sick.Store(true)
	eventually(r, func() bool { return r.tally(12, "a and c are well")["b"] == 0 }, "GET /healthz is answered 503 by b: it gets none of 12 requests")
	assert.Equal(r, map[string]int{"a": 15, "c": 15}, r.tally(30, "a and c are well"), "30 requests for those that are left")
}

func bringsBack(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	r.backends["b"].sick.Store(true)
	eventually(r, func() bool { return r.tally(12, "a and c are well")["b"] == 0 }, "GET /healthz is answered 503 by b: it gets none of 12 requests")
	r.backends["b"].sick.Store(false)
	eventually(r, func() bool { return r.tally(3, "all are well")["b"] == 1 }, "GET /healthz is answered 200 by b again: it gets one of three requests")
}

func finishes(b *bench) {
	end := newGate(b)
	begun := make(chan bool, 1)
	r := b.over(says("a"), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/long" {
			fmt.Fprint(w, "b")
			return
		}
		tick := time.NewTicker(20 * time.Millisecond) // so that it is not silent
		defer tick.Stop()
		for n := 0; ; n++ {
			fmt.Fprintln(w, "soup")
			if http.NewResponseController(w).Flush() != nil || r.Context().Err() != nil {
				return
			}
			if n == 0 {
				begun <- true
			}
			select {
			case <-end.c:
				fmt.Fprint(w, "done")
				return
			case <-tick.C:
			}
		}
	})
	ended := make(chan answer, 1)
	go func() {
		for { // until it is b's turn
			got := r.do(r.request(http.MethodGet, "/long", nil))
			if got.err != nil || got.text != "a" {
				ended <- got
				return
			}
		}
	}()
	await(r, begun, "b answers")
	r.backends["b"].sick.Store(true)
	eventually(r, func() bool { return r.tally(12, "a is well")["b"] == 0 }, "GET /healthz is answered 503 by b: it gets no new requests")
	end.open()
	got := await(r, ended, "b has answered")
	require.NoError(r, got.err, "b is taken out in the midst of an answer, which goes on")
	assert.True(r, strings.HasSuffix(got.text, "done"), "b is taken out in the midst of an answer, and answers to the end; what came ends in %q", got.text[max(0, len(got.text)-10):])
}

func losesNone(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	r.tally(6, "all are well")
	r.backends["b"].kill()
	got := r.tally(30, "b has died, and a and c live")
	assert.Zero(r, got["b"])
}

func usesAgain(b *bench) {
	r := b.over(says("a"), says("b"), says("c"))
	r.backends["b"].kill()
	r.tally(3, "b has died, and a and c live")
	r.backends["b"].revive(r)
	eventually(r, func() bool { return r.tally(3, "all are well")["b"] > 0 }, "b was dead, and is back: it gets its turn")
}

func allDead(b *bench) {
	r := b.over(says("a"), says("b"))
	for _, backend := range r.backends {
		backend.kill()
	}
	for range 3 {
		got := r.do(r.request(http.MethodGet, "/", nil))
		require.NoError(r, got.err, "all backends are dead: the answer says so")
		require.Contains(r, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, got.StatusCode, "all backends are dead")
	}
	for _, backend := range r.backends {
		backend.revive(r)
	}
	eventually(r, func() bool { return r.do(r.request(http.MethodGet, "/", nil)).StatusCode == http.StatusOK }, "the backends are back, and answer")
}

func silent(b *bench) {
	end := newGate(b)
	r := b.over(func(w http.ResponseWriter, r *http.Request) { end.wait(r.Context()) })
	got := r.do(r.request(http.MethodGet, "/", nil))
	require.NoError(r, got.err, "the only backend has the request, and says nothing: the client gets an answer all the same")
	assert.Equal(r, http.StatusGatewayTimeout, got.StatusCode)
}

// rude reads a request to its end, and hangs up.
func rude(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func repeatsGET(b *bench) {
	var asked atomic.Int64
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		rude(w, r)
	}, says("b"))
	assert.Equal(r, map[string]int{"b": 12}, r.tally(12, "a takes each request and hangs up, b is well"))
	assert.Positive(r, asked.Load(), "a was asked")
}

func repeatsUnsent(b *bench) {
	r := b.over(says("a"), func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	r.backends["a"].kill()
	for n := range 8 {
		id := fmt.Sprint("order ", n)
		got := r.do(r.request(http.MethodPost, "/orders", strings.NewReader(id)))
		require.NoError(r, got.err, "a is dead, b is well")
		require.Equal(r, http.StatusOK, got.StatusCode, "POST without an Idempotency-Key; a is dead, so nothing was sent there")
		require.Equal(r, id, got.text, "what reached b")
	}
}

func sendsOnce(b *bench) {
	var mu sync.Mutex
	cooked := map[string][]string{} // by order: who cooked it
	cook := func(name string, hangsUp bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			id, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			mu.Lock()
			cooked[string(id)] = append(cooked[string(id)], name)
			mu.Unlock()
			if hangsUp {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, "done")
		}
	}
	r := b.over(cook("a", true), cook("b", false))
	done := 0
	for n := range 20 {
		got := r.do(r.request(http.MethodPost, "/orders", strings.NewReader(fmt.Sprint("order ", n))))
		if got.err == nil && got.StatusCode == http.StatusOK {
			done++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	by := map[string]int{}
	for id, names := range cooked {
		assert.Len(r, names, 1, "%s, a POST without an Idempotency-Key, was cooked by %v. Backend a takes each, and hangs up", id, names)
		for _, name := range names {
			by[name]++
		}
	}
	assert.Positive(r, by["a"], "a gets its turn")
	assert.Equal(r, by["b"], done, "what b cooked was answered, and nothing else")
}

func reuses(b *bench) {
	const callers, rounds = 16, 4
	var mu sync.Mutex
	connections := map[string]bool{} // by the balancer's address
	arrived := make(chan bool, callers)
	end := make(chan bool)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr] = true
		mu.Unlock()
		arrived <- true
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
	for range rounds {
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				got := r.do(r.request(http.MethodGet, "/", nil))
				assert.NoError(r, got.err)
				assert.Equal(r, http.StatusOK, got.StatusCode)
			})
		}
		for range callers {
			await(r, arrived, "16 requests are with the backend at once")
		}
		for range callers {
			end <- true
		}
		all.Wait()
	}
	assert.LessOrEqual(r, len(connections), callers+callers/4, "connections for %d times %d requests at once", rounds, callers)
}

func hangUp(b *bench) {
	hungUp := make(chan bool, 9)
	polite := func(w http.ResponseWriter, r *http.Request) {
		// Without "Connection: close": the balancer finds out, or it does not.
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoup")
		conn.Close()
		hungUp <- true
	}
	r := b.over(polite, polite, polite)
	for range 40 {
		require.Equal(r, "soup", r.get("backends that answer well, and close the connection after each answer"))
		await(r, hungUp, "the backend answers and hangs up")
	}
}

func large(b *bench) {
	const size = 24 << 20
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		_, err := io.Copy(hash, r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Hash", fmt.Sprintf("%x", hash.Sum(nil)))
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, pattern(size))
	})
	hash := sha256.New()
	_, _ = io.Copy(hash, pattern(size))
	want := fmt.Sprintf("%x", hash.Sum(nil))
	for _, length := range []int64{size, -1} { // with its length, and chunked
		req := r.request(http.MethodPut, "/", io.NopCloser(pattern(size)))
		req.ContentLength = length
		got := r.do(req)
		require.NoError(r, got.err, "24 MiB there and back")
		assert.Equal(r, want, got.Header.Get("Hash"), "SHA-256 of what reached the backend")
		assert.Equal(r, want, fmt.Sprintf("%x", sha256.Sum256([]byte(got.text))), "SHA-256 of what came back")
	}
}

// pattern is size octets, always the same, in which a lost or doubled piece shows.
func pattern(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), size) }

func streamsAnswer(b *bench) {
	next := make(chan string)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case text, more := <-next:
				if !more {
					return
				}
				fmt.Fprint(w, text)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	go func() { next <- "one" }()
	resp, err := r.client.Do(r.request(http.MethodGet, "/", nil))
	require.NoError(r, err)
	defer resp.Body.Close()
	for i, text := range []string{"one", "two", "three"} {
		if i > 0 {
			next <- text
		}
		got := make([]byte, len(text))
		_, err := io.ReadFull(resp.Body, got)
		require.NoError(r, err, "%q was written and flushed", text)
		require.Equal(r, text, string(got))
	}
	close(next)
	rest, err := io.ReadAll(resp.Body)
	require.NoError(r, err)
	assert.Empty(r, rest)
}

func streamsRequest(b *bench) {
	heard := make(chan string, 9)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 3)
		for {
			n, err := io.ReadFull(r.Body, p)
			if n > 0 {
				heard <- string(p[:n])
			}
			if err != nil {
				return
			}
		}
	})
	body, writer := io.Pipe()
	defer writer.Close()
	ended := make(chan answer, 1)
	req := r.request(http.MethodPost, "/", body)
	go func() { ended <- r.do(req) }()
	for _, text := range []string{"one", "two"} {
		_, _ = io.WriteString(writer, text)
		assert.Equal(r, text, await(r, heard, "a piece of a chunked body, whose end has not come"))
	}
	writer.Close()
	got := await(r, ended, "the answer")
	require.NoError(r, got.err)
	assert.Equal(r, http.StatusOK, got.StatusCode)
}

func breaksOff(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "1000")
		}
		fmt.Fprint(w, "half of")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/length", "/chunked"} {
		got := r.do(r.request(http.MethodGet, path, nil))
		assert.Error(r, got.err, "%s: the backend broke off in the midst of its answer. The client took %q for the whole of it, of status %d", path, got.text, got.StatusCode)
	}
}

func answerTrailers(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Digest")
		fmt.Fprint(w, "soup")
		w.Header().Set("Digest", "yummy")
	})
	req := r.request(http.MethodGet, "/", nil)
	req.Header.Set("TE", "trailers")
	got := r.do(req)
	require.NoError(r, got.err)
	assert.Equal(r, "soup", got.text)
	assert.Equal(r, "yummy", got.Trailer.Get("Digest"), "a field behind the body")
}

func requestTrailers(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", text, r.Trailer.Get("Digest"))
	})
	req := r.request(http.MethodPost, "/", io.NopCloser(strings.NewReader("soup")))
	req.Trailer = http.Header{"Digest": {"yummy"}}
	got := r.do(req)
	require.NoError(r, got.err)
	assert.Equal(r, "soup yummy", got.text, "the body, and a field behind it")
}

func earlyHints(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</menu.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "soup")
	})
	c := dial(r, r.addr)
	for range 2 { // the second time, the first one was whole
		c.send("GET / HTTP/1.1", "Host: shop.test")
		resp := c.answer("the backend sends 103, and then 200")
		require.Equal(r, http.StatusEarlyHints, resp.StatusCode, "the backend sends 103, and then 200")
		require.Equal(r, "</menu.css>; rel=preload", resp.Header.Get("Link"), "a field of the 103")
		resp = c.answer("the backend sent 103, and then 200")
		require.Equal(r, http.StatusOK, resp.StatusCode, "the answer behind the hint")
		text, err := io.ReadAll(resp.Body)
		require.NoError(r, err)
		require.Equal(r, "soup", string(text), "the answer behind the hint")
	}
}

func continues(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	c := dial(r, r.addr)
	c.send("PUT / HTTP/1.1", "Host: shop.test", "Content-Length: 8", "Expect: 100-continue")
	resp := c.answer("a client that waits for 100 Continue before it sends the body")
	require.Equal(r, http.StatusContinue, resp.StatusCode, "the backend takes any body")
	_, err := io.WriteString(c, "one soup")
	require.NoError(r, err)
	resp = c.answer("the body was sent")
	assert.Equal(r, http.StatusOK, resp.StatusCode, "one 100, and then the answer")
	text := make([]byte, 8)
	_, err = io.ReadFull(resp.Body, text)
	require.NoError(r, err)
	assert.Equal(r, "one soup", string(text), "what reached the backend")
}

func refuses(b *bench) {
	r := b.over(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	c := dial(r, r.addr)
	c.send("PUT / HTTP/1.1", "Host: shop.test", "Content-Length: 8", "Expect: 100-continue")
	resp := c.answer("a client that waits for 100 Continue before it sends the body")
	assert.Equal(r, http.StatusForbidden, resp.StatusCode, "the backend answers without having read the body: it is not asked for")
}

// longest is how long a connection may last that nobody else ends.
const longest = 25 * time.Second

// webSocket says hello with its 101, and then what its client says, in capitals,
// and good-bye when the client is done.
func webSocket(w http.ResponseWriter, r *http.Request) {
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(longest))
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: %s\r\nUpgrade: %s\r\nSec-WebSocket-Accept: %s\r\n\r\nhello",
		r.Header.Get("Connection"), r.Header.Get("Upgrade"), base64.StdEncoding.EncodeToString(accept[:]))
	p := make([]byte, 64)
	for {
		n, err := in.Read(p)
		_, _ = conn.Write(bytes.ToUpper(p[:n]))
		if err != nil {
			break
		}
	}
	_, _ = io.WriteString(conn, "good-bye")
}

// open makes a WebSocket to the balancer.
func (r *rig) open() *conn {
	r.Helper()
	c := dial(r, r.addr)
	c.send("GET /chat HTTP/1.1", "Host: shop.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	resp := c.answer("a WebSocket")
	require.Equal(r, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(r, "websocket", strings.ToLower(resp.Header.Get("Upgrade")))
	require.Equal(r, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"), "the key's answer (RFC 6455 §1.3)")
	c.hears("hello", "it came in one write with the 101")
	return c
}

// hears reads as much as text, which it must be.
func (c *conn) hears(text, why string) {
	c.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(c.in, got)
	require.NoError(c.t, err, "%s: want %q, have %q", why, text, got[:n])
	require.Equal(c.t, text, string(got), why)
}

func upgrades(b *bench) {
	c := b.over(webSocket).open()
	for _, text := range []string{"one", "two"} {
		_, err := io.WriteString(c, text)
		require.NoError(b, err)
		c.hears(strings.ToUpper(text), "what the backend makes of it")
	}
}

func upgradeHalfClose(b *bench) {
	c := b.over(webSocket).open()
	_, err := io.WriteString(c, "one")
	require.NoError(b, err)
	require.NoError(b, c.CloseWrite())
	assert.Equal(b, "ONEgood-bye", c.rest("the client is done sending, and the backend answers"), "what the backend said after the client was done")
}

func leavesStream(b *bench) {
	noticed := make(chan bool, 1)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprintln(w, "soup")
			if http.NewResponseController(w).Flush() != nil {
				break
			}
		}
		noticed <- true
	})
	c := dial(r, r.addr)
	c.send("GET / HTTP/1.1", "Host: shop.test")
	require.Equal(r, http.StatusOK, c.answer("an answer without an end").StatusCode)
	c.Close()
	await(r, noticed, "the client left: the backend's connection ends")
}

func leavesWaiting(b *bench) {
	asked, over := make(chan string, 9), make(chan string, 9)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		asked <- r.URL.Path
		<-r.Context().Done()
		over <- r.URL.Path
	})
	ask := func(path string) *conn {
		c := dial(r, r.addr)
		c.send("GET "+path+" HTTP/1.1", "Host: shop.test")
		require.Equal(r, path, await(r, asked, "the backend is asked"))
		return c
	}
	// Whose request is over first tells a balancer that noticed from one that
	// gave up after two seconds: that of the one who waits for longer. On a machine
	// that stands still for so long it tells nothing, so there is a second try.
	for range 2 {
		patient := ask("/patient")
		for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
			r.get("a backend that answers")
		}
		ask("/impatient").Close()
		first := await(r, over, "of two requests, one's client has left")
		patient.Close()
		await(r, over, "both clients have left")
		if first == "/impatient" {
			return
		}
	}
	require.Fail(r, "a client left, and another one had waited for longer: its time was up before the backend learned of the first one's leaving")
}

func halfClosed(b *bench) {
	end := newGate(b)
	asked, left := make(chan bool, 1), make(chan bool, 1)
	r := b.over(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		asked <- true
		if end.wait(r.Context()); r.Context().Err() != nil {
			left <- true
		}
		fmt.Fprint(w, "soup")
	})
	c := dial(r, r.addr)
	c.send("GET /done HTTP/1.1", "Host: shop.test", "Connection: close")
	await(r, asked, "the backend is asked")
	require.NoError(r, c.CloseWrite())
	for range 100 { // time enough to do what is wrong
		r.get("a backend that answers")
		require.Empty(r, left, "the client is done sending, and waits for its answer; the backend is told that it left")
	}
	end.open()
	assert.Equal(r, http.StatusOK, c.answer("the client is done sending, and waits for its answer").StatusCode)
}
