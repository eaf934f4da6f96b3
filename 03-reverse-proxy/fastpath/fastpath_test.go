package fastpath_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/fastpath"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen.
const patience = 20 * time.Second

// closing ends the connection after an answer.
const closing = "(close)"

// pausing stops in an answer for a pause, longer than an exchange goes unwatched.
const (
	pausing = "(pause)"
	pause   = 15 * time.Millisecond
)

func TestAnswers(t *testing.T) {
	needsLook(t)
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, row := range map[string]struct {
		method, answer string
		status         int
		body           string
		reused         bool // the connection, by the next request
	}{
		"with_a_length":            {"GET", ok + "Content-Length: 4\r\n\r\nsoup", 200, "soup", true},
		"with_length_0":            {"GET", ok + "content-length: 0\r\n\r\n", 200, "", true},
		"in_chunks":                {"GET", ok + "Transfer-Encoding: Chunked\r\n\r\n2\r\nso\r\n2;x=y\r\nup\r\n0\r\n\r\n", 200, "soup", true},
		"up_to_the_end":            {"GET", ok + "\r\nsoup" + closing, 200, "soup", false},
		"of_HTTP_1_0":              {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nsoup", 200, "soup", false},
		"that_close":               {"GET", ok + "Connection: Close\r\nContent-Length: 4\r\n\r\nsoup", 200, "soup", false},
		"to_HEAD":                  {"HEAD", ok + "Content-Length: 4\r\n\r\n", 200, "", true},
		"to_HEAD_in_chunks":        {"HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", 200, "", true},
		"to_DELETE":                {"DELETE", ok + "Content-Length: 4\r\n\r\nsoup", 200, "soup", true},
		"204":                      {"GET", "HTTP/1.1 204\r\n\r\n", 204, "", true},
		"204_that_announce_a_body": {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", 204, "", false},
		"304_with_a_length":        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 304, "", true},
		"with_more_than_all":       {"GET", ok + "Content-Length: 4\r\n\r\nsoupHTTP/1.1 200 OK\r\n\r\n", 200, "soup", false},
		"behind_interim_ones":      {"GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok + "Content-Length: 4\r\n\r\nsoup", 200, "soup", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, row.answer)
			for range 2 {
				resp, body, err := s.do(t, row.method)
				require.NoError(t, err)
				assert.Equal(t, row.status, resp.StatusCode)
				assert.Equal(t, row.body, body)
			}
			assert.Equal(t, map[bool]int64{true: 1, false: 2}[row.reused], s.conns.Load(), "connections for two requests")
		})
	}

	t.Run("have_lengths_and_fields_as_with_net_http", func(t *testing.T) {
		for _, answer := range []string{
			"Content-Length: 4\r\nX-A: 1\r\nx-a:2 \t\r\nx-a:\r\n\r\nsoup",
			"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nsoup\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n",
			"Connection: close\r\n\r\nsoup" + closing,
		} {
			s := serve(t, ok+answer)
			for _, method := range []string{"GET", "HEAD"} {
				if method == "HEAD" {
					s = serve(t, ok+answer[:strings.Index(answer, "\r\n\r\n")+4])
				}
				mine, _, err := s.do(t, method)
				require.NoError(t, err)
				std := upstream.New(upstream.Config{})
				req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr, nil)
				theirs, err := std.RoundTrip(req)
				require.NoError(t, err)
				_, err = io.ReadAll(theirs.Body)
				require.NoError(t, err)
				theirs.Body.Close()
				std.CloseIdleConnections()
				mine.Header.Del("Connection") // which net/http removes
				theirs.Body, mine.Body, theirs.Request, mine.Request = nil, nil, nil, nil
				if method == "HEAD" {
					theirs.TransferEncoding, theirs.Trailer = nil, nil // of a body that does not come
					mine.Header.Del("Trailer")
				}
				assert.Equal(t, theirs, mine, "%s, %q", method, answer)
			}
		}
	})

	t.Run("of_any_size_arrive_whole", func(t *testing.T) {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("l", 20_000))
			for range 100 {
				fmt.Fprint(w, strings.Repeat("soup", 3_000))
			}
		}))
		defer backend.Close()
		tr := transport(t, upstream.Config{})
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for range 5 {
					resp, body, err := do(t.Context(), tr, "GET", backend.URL)
					if assert.NoError(t, err) {
						assert.Equal(t, 20_000, len(resp.Header.Get("X-Large")))
						assert.Equal(t, 1_200_000, len(body))
					}
				}
			})
		}
		clients.Wait()
	})
}

func TestRefuses(t *testing.T) {
	needsLook(t)
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, row := range map[string]struct{ answer, message string }{
		"garbage":                      {"soup\r\n\r\n", "status line"},
		"a_status_that_is_none":        {"HTTP/1.1 20 OK\r\n\r\n", "status line"},
		"another_HTTP":                 {"HTTP/2.0 200 OK\r\n\r\n", "status line"},
		"a_bare_LF":                    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare LF"},
		"a_bare_CR":                    {ok + "X: a\rb\r\n\r\n", "value of X"},
		"a_folded_line":                {ok + "X: a\r\n b\r\n\r\n", "field line"},
		"a_space_before_the_colon":     {ok + "Content-Length : 4\r\n\r\nsoup", "field line"},
		"coding_and_length":            {ok + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "framing"},
		"two_lengths":                  {ok + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nsoup", "framing"},
		"a_length_with_a_sign":         {ok + "Content-Length: +4\r\n\r\nsoup", "framing"},
		"a_list_of_lengths":            {ok + "Content-Length: 4, 4\r\n\r\nsoup", "framing"},
		"a_length_out_of_range":        {ok + "Content-Length: 99999999999999999999\r\n\r\nsoup", "framing"},
		"another_coding":               {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "framing"},
		"chunks_in_HTTP_1_0":           {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "framing"},
		"101_that_nobody_asked_for":    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "nobody asked"},
		"interim_answers_without_end":  {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100), "interim"},
		"a_header_that_is_too_large":   {ok + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 2000), "larger than"},
		"a_line_that_never_ends":       {ok + "X: " + strings.Repeat("x", 2<<20), "larger than"},
		"half_a_header":                {ok + "Content-Le" + closing, "unexpected EOF"},
		"half_a_body":                  {ok + "Content-Length: 4\r\n\r\nso" + closing, "unexpected EOF"},
		"half_a_chunk":                 {ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nso" + closing, "unexpected EOF"},
		"chunks_without_an_end":        {ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nsoup\r\n" + closing, "unexpected EOF"},
		"a_chunk_without_size":         {ok + "Transfer-Encoding: chunked\r\n\r\nsoup\r\n", "chunk length"},
		"a_trailer_that_cuts_off":      {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: " + closing, "unexpected EOF"},
		"a_trailer_that_is_none":       {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum 7\r\n\r\n", "field line"},
		"silence_and_the_end_at_first": {closing, "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, row.answer)
			_, _, err := s.do(t, "GET")
			require.ErrorContains(t, err, row.message)
			s.ends(t)
			good := serve(t, ok+"Content-Length: 4\r\n\r\nsoup")
			_, body, err := good.do(t, "GET")
			require.NoError(t, err)
			assert.Equal(t, "soup", body)
		})
	}

	t.Run("to_send_what_would_be_two_requests", func(t *testing.T) {
		s := serve(t, ok+"Content-Length: 0\r\n\r\n")
		for name, change := range map[string]func(*http.Request){
			"value":  func(r *http.Request) { r.Header.Set("X-A", "1\r\nX-B: 2") },
			"name":   func(r *http.Request) { r.Header["X-A: 1\r\nX-B"] = []string{"2"} },
			"host":   func(r *http.Request) { r.Host = "a\r\nX-B: 2" },
			"target": func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1\r\nX-B: 2\r\n\r\n" },
		} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr, nil)
			require.NoError(t, err)
			change(req)
			_, err = transport(t, upstream.Config{}).RoundTrip(req)
			assert.ErrorContains(t, err, "fastpath: ", name)
		}
		assert.Zero(t, s.conns.Load(), "nothing was sent")
	})
}

func TestRequest(t *testing.T) {
	got := make(chan *http.Request, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got <- r }))
	defer backend.Close()
	tr := transport(t, upstream.Config{})
	req, err := http.NewRequestWithContext(t.Context(), "DELETE", backend.URL+"/a%2Fb?c=d", http.NoBody)
	require.NoError(t, err)
	req.Host = "shop.test"
	req.Header = http.Header{"X-A": {"1", "2"}, "User-Agent": {""}, "Te": {"trailers"}, "X-None": nil, "Content-Length": {"7"}, "Host": {"evil.test"}}
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	r := <-got
	assert.Equal(t, "DELETE /a%2Fb?c=d HTTP/1.1 shop.test", fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Proto, " ", r.Host))
	assert.Equal(t, http.Header{"X-A": {"1", "2"}, "Te": {"trailers"}, "Connection": {"TE"}}, r.Header)

	t.Run("takes_the_other_way_with_a_body", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", backend.URL, strings.NewReader("soup"))
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.EqualValues(t, 4, (<-got).ContentLength)
	})
}

func TestPool(t *testing.T) {
	needsLook(t)
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoup"
	get := func(t *testing.T, s *server) {
		t.Helper()
		_, body, err := s.do(t, "GET")
		require.NoError(t, err)
		require.Equal(t, "soup", body)
	}

	t.Run("takes_a_new_connection_for_one_that_was_closed", func(t *testing.T) {
		s := serve(t, answer)
		get(t, s)
		s.closeAll()
		s.ends(t)
		get(t, s)
		assert.EqualValues(t, 2, s.conns.Load())
	})

	t.Run("asks_again_where_the_end_came_with_the_request", func(t *testing.T) {
		s := serve(t, answer, closing) // the second request of a connection closes it
		get(t, s)
		get(t, s)
		assert.EqualValues(t, 2, s.conns.Load())
		assert.EqualValues(t, 3, s.requests.Load(), "one of them in vain")
	})

	t.Run("asks_again_once", func(t *testing.T) {
		s := serve(t, answer, closing)
		get(t, s)
		s.answer(closing)
		_, _, err := s.do(t, "GET")
		require.ErrorContains(t, err, "without an answer")
		assert.EqualValues(t, 2, s.conns.Load())
	})

	t.Run("throws_away_what_a_backend_said_unasked", func(t *testing.T) {
		s := serve(t, answer)
		get(t, s)
		s.each(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate") })
		eventually(t, func() bool { // sent is not arrived
			_, body, err := s.do(t, "GET")
			require.NoError(t, err)
			return body == "soup" && s.conns.Load() == 2
		}, "the next request must have an answer of its own, by another connection")
	})

	t.Run("closes_a_body_that_was_not_read", func(t *testing.T) {
		s := serve(t, answer)
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr, nil)
		require.NoError(t, err)
		resp, err := s.tr.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		_, err = resp.Body.Read(make([]byte, 1))
		assert.ErrorIs(t, err, http.ErrBodyReadAfterClose)
		s.ends(t)
		get(t, s)
	})

	t.Run("gives_back_once", func(t *testing.T) {
		s := serve(t, answer)
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr, nil)
		require.NoError(t, err)
		resp, err := s.tr.RoundTrip(req)
		require.NoError(t, err)
		n, err := resp.Body.Read(make([]byte, 100))
		assert.Equal(t, 4, n)
		assert.Equal(t, io.EOF, err, "with the last octets")
		next, err := s.tr.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close(), "when another has the connection")
		body, err := io.ReadAll(next.Body)
		require.NoError(t, err)
		assert.Equal(t, "soup", string(body))
		assert.EqualValues(t, 1, s.conns.Load())
	})

	t.Run("keeps_MaxIdle", func(t *testing.T) {
		gate := make(chan struct{})
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-gate }))
		defer backend.Close()
		var conns atomic.Int64
		tr := transport(t, upstream.Config{MaxIdle: 3, Dial: counting(&conns)})
		var clients sync.WaitGroup
		for range 6 {
			clients.Go(func() {
				_, _, err := do(t.Context(), tr, "GET", backend.URL)
				assert.NoError(t, err)
			})
		}
		eventually(t, func() bool { return conns.Load() == 6 }, "one for each request that is under way")
		close(gate)
		clients.Wait()
		for range 4 {
			_, _, err := do(t.Context(), tr, "GET", backend.URL)
			require.NoError(t, err)
		}
		assert.EqualValues(t, 6, conns.Load(), "three were kept")
	})

	t.Run("closes_what_idles", func(t *testing.T) {
		s := serve(t, answer)
		s.tr = transport(t, upstream.Config{IdleTimeout: 20 * time.Millisecond})
		get(t, s)
		s.ends(t)
		get(t, s)
	})

	t.Run("closes_all_when_told_to", func(t *testing.T) {
		s := serve(t, answer)
		get(t, s)
		s.tr.CloseIdleConnections()
		s.ends(t)
		get(t, s)
	})

	t.Run("keeps_none_that_it_cannot_look_at", func(t *testing.T) {
		s := serve(t, answer)
		s.tr = transport(t, upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return struct{ net.Conn }{conn}, err
		}})
		get(t, s)
		get(t, s)
		assert.EqualValues(t, 2, s.conns.Load())
	})
}

func TestWaits(t *testing.T) {
	timesOut := func(t *testing.T, err error) {
		t.Helper()
		var timeout net.Error
		require.Error(t, err)
		assert.True(t, errors.As(err, &timeout) && timeout.Timeout(), "a 504: %v", err)
	}

	t.Run("for_a_header_no_longer_than_allowed", func(t *testing.T) {
		for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 103 Early Hints\r\n\r\n"} {
			s := serve(t, answer)
			s.tr = transport(t, upstream.Config{HeaderTimeout: 30 * time.Millisecond})
			_, _, err := s.do(t, "GET")
			timesOut(t, err)
			assert.EqualValues(t, 1, s.requests.Load(), "a slow backend gets no second one")
			s.ends(t)
		}
	})

	t.Run("for_a_body_as_long_as_it_takes", func(t *testing.T) {
		gate := make(chan struct{})
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "so")
			w.(http.Flusher).Flush()
			<-gate
			fmt.Fprint(w, "up")
		}))
		defer backend.Close()
		tr := transport(t, upstream.Config{HeaderTimeout: 50 * time.Millisecond})
		req, err := http.NewRequestWithContext(t.Context(), "GET", backend.URL, nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		two := make([]byte, 2)
		_, err = io.ReadFull(resp.Body, two)
		require.NoError(t, err)
		assert.Equal(t, "so", string(two))
		time.AfterFunc(100*time.Millisecond, func() { close(gate) }) // longer than HeaderTimeout
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "up", string(rest))
	})

	t.Run("for_a_connection_no_longer_than_allowed", func(t *testing.T) {
		tr := transport(t, upstream.Config{DialTimeout: 20 * time.Millisecond, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		_, _, err := do(t.Context(), tr, "GET", "http://127.0.0.1:1")
		timesOut(t, err)
	})

	// The watch over the context begins after a moment: what has come by then is
	// not lost, and neither is what was sent.
	t.Run("for_an_answer_in_pieces", func(t *testing.T) {
		needsLook(t)
		s := serve(t, "HTTP/1.1 200 OK\r\nConte"+pausing+"nt-Length: 8\r\n\r\nso"+pausing+"up,"+pausing+"hot")
		for range 2 {
			_, body, err := s.do(t, "GET")
			require.NoError(t, err)
			assert.Equal(t, "soup,hot", body)
			time.Sleep(pause) // the deadline of its last exchange must not make it look closed
		}
		assert.EqualValues(t, 1, s.conns.Load())
	})

	t.Run("for_a_backend_that_reads_slowly", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		large := strings.Repeat("x", 900<<10)
		got := make(chan string, 1)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			time.Sleep(pause)
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				got <- err.Error()
				return
			}
			got <- r.Header.Get("X-Large")
			fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}()
		tr := transport(t, upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
			}
			return conn, err
		}})
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+ln.Addr().String(), nil)
		require.NoError(t, err)
		req.Header.Set("X-Large", large)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 204, resp.StatusCode)
		assert.True(t, <-got == large, "the request must arrive whole, and once")
	})

	for name, answer := range map[string]string{"header": "", "body": "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nso"} {
		t.Run("for_nothing_once_the_client_left_the_"+name, func(t *testing.T) {
			s := serve(t, answer)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			failed := make(chan error, 1)
			go func() {
				_, _, err := do(ctx, s.tr, "GET", "http://"+s.addr)
				failed <- err
			}()
			eventually(t, func() bool { return s.requests.Load() == 1 }, "the request must arrive")
			leave()
			select {
			case err := <-failed:
				assert.ErrorIs(t, err, context.Canceled)
			case <-time.After(patience):
				require.Fail(t, "it still waits")
			}
			s.ends(t)
		})
	}

	t.Run("for_nothing_if_nobody_asks_any_more", func(t *testing.T) {
		s := serve(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		_, _, err := do(ctx, s.tr, "GET", "http://"+s.addr)
		assert.ErrorIs(t, err, context.Canceled)
	})

	t.Run("with_a_Close_in_between", func(t *testing.T) {
		s := serve(t, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nso")
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr, nil)
		require.NoError(t, err)
		resp, err := s.tr.RoundTrip(req)
		require.NoError(t, err)
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(resp.Body)
			read <- err
		}()
		resp.Body.Close()
		select {
		case err := <-read:
			assert.Error(t, err)
		case <-time.After(patience):
			require.Fail(t, "it still waits")
		}
	})
}

// Cancelling at any moment must neither hang nor give a cut connection to the
// next request.
func TestCancelAtAnyMoment(t *testing.T) {
	const head, soup = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "soup"
	for _, row := range []struct {
		answer      string
		times       int
		first, step time.Duration
	}{
		{head + soup, 300, 0, time.Microsecond},
		{pausing + head + soup, 20, pause - 2*time.Millisecond, 300 * time.Microsecond},
		{head + pausing + soup, 20, pause - 2*time.Millisecond, 300 * time.Microsecond},
	} {
		s := serve(t, row.answer)
		for i := range row.times {
			ctx, leave := context.WithTimeout(t.Context(), row.first+time.Duration(i)*row.step)
			_, _, err := do(ctx, s.tr, "GET", "http://"+s.addr)
			leave()
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			_, body, err := s.do(t, "GET")
			require.NoError(t, err)
			require.Equal(t, soup, body)
		}
	}
}

func TestTrace(t *testing.T) {
	needsLook(t)
	s := serve(t, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoup")
	var seen []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:              func(addr string) { seen = append(seen, "get "+strings.ReplaceAll(addr, s.addr, "addr")) },
		ConnectStart:         func(string, string) { seen = append(seen, "connect") },
		GotConn:              func(info httptrace.GotConnInfo) { seen = append(seen, fmt.Sprint("got, reused: ", info.Reused)) },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { seen = append(seen, fmt.Sprint("wrote ", info.Err)) },
		GotFirstResponseByte: func() { seen = append(seen, "first byte") },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			seen = append(seen, fmt.Sprint(code, h))
			return nil
		},
	})
	for range 2 {
		_, _, err := do(ctx, s.tr, "GET", "http://"+s.addr)
		require.NoError(t, err)
	}
	rest := []string{"wrote <nil>", "first byte", "103 map[Link:[</a.css>]]"}
	want := append([]string{"get addr", "connect", "got, reused: false"}, rest...)
	assert.Equal(t, append(append(want, "get addr", "got, reused: true"), rest...), seen)

	t.Run("has_no_connection_where_none_was_made", func(t *testing.T) {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { t.Error("there is none") }})
		_, _, err := do(ctx, s.tr, "GET", "http://127.0.0.1:1")
		assert.Error(t, err)
	})
}

// server answers each request with the next of its answers, the last one again
// and again, and each connection begins anew.
type server struct {
	addr            string
	tr              *fastpath.Transport
	conns, requests atomic.Int64

	mu      sync.Mutex // guards what follows
	answers []string
	open    map[net.Conn]bool
}

func serve(t *testing.T, answers ...string) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: ln.Addr().String(), answers: answers, open: map[net.Conn]bool{}, tr: transport(t, upstream.Config{})}
	var running sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		s.closeAll()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.mu.Lock()
			s.open[conn] = true
			s.mu.Unlock()
			running.Go(func() {
				s.talk(conn)
				s.mu.Lock()
				delete(s.open, conn)
				s.mu.Unlock()
			})
		}
	})
	return s
}

func (s *server) talk(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := 0; ; i++ {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		s.requests.Add(1)
		s.mu.Lock()
		answer := s.answers[min(i, len(s.answers)-1)]
		s.mu.Unlock()
		text, ends := strings.CutSuffix(answer, closing)
		for i, piece := range strings.Split(text, pausing) {
			if i > 0 {
				time.Sleep(pause)
			}
			if _, err := io.WriteString(conn, piece); err != nil {
				return
			}
		}
		if ends {
			return
		}
	}
}

func (s *server) answer(all ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = all
}

func (s *server) each(f func(net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		f(conn)
	}
}

func (s *server) closeAll() { s.each(func(c net.Conn) { c.Close() }) }

// ends waits until all connections are closed, by the client or by closeAll.
func (s *server) ends(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.open) == 0
	}, "the connection must be closed")
}

func (s *server) do(t *testing.T, method string) (*http.Response, string, error) {
	return do(t.Context(), s.tr, method, "http://"+s.addr)
}

func do(ctx context.Context, tr http.RoundTripper, method, url string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func transport(t *testing.T, c upstream.Config) *fastpath.Transport {
	tr := fastpath.New(upstream.New(c))
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func counting(n *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func eventually(t *testing.T, is func() bool, why string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), why)
	}
}

// needsLook skips what holds only where idle connections can be looked at.
func needsLook(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("on Windows all requests take net/http's transport")
	}
}
