package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/03-reverse-proxy/fastpath"
	"clicktocode.example/03-reverse-proxy/proxy"
	"clicktocode.example/03-reverse-proxy/solution/forwarded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func TestForward(t *testing.T) {
	t.Run("sends_the_request_on_as_it_came", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.RequestURI, text)
		})
		for _, path := range []string{"/", "/menu?a=1&b=", "/a%2Fb/%C3%A9?q=%20+", "/a?", "//a//b"} {
			assert.Equal(t, "GET shop.test "+path+" ", e.raw(t, "GET "+path+" HTTP/1.1\r\nHost: shop.test\r\n\r\n").body)
		}
		assert.Equal(t, "GET shop.test:8443 / ", e.raw(t, "GET http://shop.test:8443/ HTTP/1.1\r\nHost: evil.test\r\n\r\n").body, "absolute form: the target's host counts (RFC 9112 §3.2.2)")
		assert.Equal(t, "POST shop.test /orders one soup", e.raw(t, "POST /orders HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 8\r\n\r\none soup").body)
		assert.Equal(t, "POST shop.test /orders one soup", e.raw(t, "POST /orders HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\n soup\r\n0\r\n\r\n").body)
	})

	t.Run("says_who_asked_and_nothing_of_this_hop_16875_46313", func(t *testing.T) {
		got := make(chan http.Header, 1)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header })
		e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection:\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: secret\r\nTE: trailers, gzip\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
		h := <-got
		assert.Equal(t, []string{"1", "2"}, h["X-A"])
		assert.Equal(t, []string{"trailers"}, h["Te"], "trailers go all the way")
		for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authorization", "User-Agent"} {
			assert.NotContains(t, h, name)
		}
		assert.Equal(t, "127.0.0.1", h.Get("X-Forwarded-For"))
		assert.Equal(t, "shop.test", h.Get("X-Forwarded-Host"))
		assert.Equal(t, "1.1 edge", h.Get("Via"))
	})

	t.Run("believes_nobody_36672_50465", func(t *testing.T) {
		got := make(chan http.Header, 1)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header })
		e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.10\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9\r\n\r\n")
		h := <-got
		assert.Equal(t, []string{"127.0.0.1"}, h["X-Forwarded-For"])
		assert.Equal(t, []string{"http"}, h["X-Forwarded-Proto"])
		assert.NotContains(t, h.Get("Forwarded"), "203.0.113.9")
	})

	t.Run("keeps_what_it_adds_though_Connection_names_it_50580_19706", func(t *testing.T) {
		got := make(chan http.Header, 1)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header })
		e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close, X-Forwarded-For, Via, Forwarded\r\n\r\n")
		h := <-got
		assert.Equal(t, "127.0.0.1", h.Get("X-Forwarded-For"))
		assert.NotEmpty(t, h.Get("Via"))
		assert.NotEmpty(t, h.Get("Forwarded"))
	})

	t.Run("drops_parameters_with_two_meanings_54663_78948", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.RawQuery) })
		for query, want := range map[string]string{
			"b=2&a=1":                   "b=2&a=1",
			"a=%41":                     "a=%41",
			"a=1&b=%zz&c=3":             "a=1&c=3",
			"a=1;b=2":                   "",
			"a=%4":                      "",
			strings.Repeat("a&", 9_999): strings.Repeat("a&", 9_999),
			strings.Repeat("a=x&", 10_000) + "hidden=y": "",
		} {
			assert.Equal(t, want, e.raw(t, "GET /?"+query+" HTTP/1.1\r\nHost: shop.test\r\n\r\n").body, "%.40s", query)
		}
	})

	t.Run("refuses_what_would_go_elsewhere", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it arrived: ", r.RequestURI) })
		for request, want := range map[string]int{
			"GET http:admin HTTP/1.1":                 400,
			"CONNECT backend:80 HTTP/1.1":             501,
			"CONNECT / HTTP/1.1":                      501,
			"GET mailto:cook@shop.test HTTP/1.1":      400,
			"GET http://shop.test?admin=1 HTTP/1.1\r": 400,
		} {
			assert.Equal(t, want, e.raw(t, strings.TrimSuffix(request, "\r")+"\r\nHost: shop.test\r\n\r\n").StatusCode, request)
		}
	})

	t.Run("brings_the_answer_back_as_it_came", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Set-Cookie"] = []string{"a=1", "b=2"}
			h["Content-Type"] = nil
			h["Date"] = []string{"Sat, 01 Aug 2026 12:00:00 GMT"}
			h.Set("Connection", "X-Hop")
			h.Set("X-Hop", "1")
			h.Set("Proxy-Authenticate", "x")
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "<html>")
		})
		a := e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		assert.Equal(t, http.StatusTeapot, a.StatusCode)
		assert.Equal(t, http.Header{"Set-Cookie": {"a=1", "b=2"}, "Date": {"Sat, 01 Aug 2026 12:00:00 GMT"}, "Content-Length": {"6"}}, a.Header, "no Content-Type, either, where the backend sent none")
		assert.Equal(t, "<html>", a.body)
		assert.Equal(t, "6", e.raw(t, "HEAD / HTTP/1.1\r\nHost: shop.test\r\n\r\n").Header.Get("Content-Length"))
	})

	t.Run("keeps_what_middleware_set", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Id", "the backend's")
			w.WriteHeader(http.StatusEarlyHints)
		})
		e.around = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Id", "the edge's")
				next.ServeHTTP(w, r)
			})
		}
		assert.Equal(t, []string{"the edge's"}, e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").Header["X-Id"], "also behind a 1xx (#81207)")
	})

	t.Run("keeps_as_many_connections_as_it_needs_13801_6785", func(t *testing.T) {
		const many = 40
		var mu sync.Mutex
		remotes := map[string]bool{}
		var gate sync.WaitGroup
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			remotes[r.RemoteAddr] = true
			mu.Unlock()
			gate.Done()
			gate.Wait()
		})
		for range 3 {
			gate.Add(many)
			var clients sync.WaitGroup
			for range many {
				clients.Go(func() { e.get(t, "/") })
			}
			clients.Wait()
		}
		assert.LessOrEqual(t, len(remotes), many+many/4, "connections for three times %d requests at once", many)
	})
}

func TestStreaming(t *testing.T) {
	t.Run("passes_each_piece_at_once_41642_27816", func(t *testing.T) {
		next := make(chan string)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.URL.Query().Get("type"))
			w.(http.Flusher).Flush()
			for text := range next {
				io.WriteString(w, text)
				w.(http.Flusher).Flush()
			}
		})
		for _, kind := range []string{"text/event-stream", "text/plain"} {
			next = make(chan string)
			resp, err := e.client.Get(e.url + "/?type=" + kind)
			require.NoError(t, err, "the header, before there is a body")
			for i := range 3 {
				text := fmt.Sprintf("data: %d\n", i)
				next <- text
				buf := make([]byte, len(text))
				_, err := io.ReadFull(resp.Body, buf)
				require.NoError(t, err)
				require.Equal(t, text, string(buf))
			}
			close(next)
			rest, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Empty(t, rest)
			resp.Body.Close()
		}
	})

	t.Run("passes_an_upload_piece_by_piece", func(t *testing.T) {
		pieces := make(chan string, 3)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 10)
			for {
				n, err := r.Body.Read(buf)
				if n > 0 {
					pieces <- string(buf[:n])
				}
				if err != nil {
					return
				}
			}
		})
		conn := e.dial(t)
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n")
		for _, piece := range []string{"one", "two"} {
			fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece)
			require.Equal(t, piece, await(t, pieces, "the piece, though the body goes on"))
		}
		fmt.Fprint(conn, "0\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		resp.Body.Close()
	})

	t.Run("passes_large_bodies_both_ways", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.Copy(w, r.Body)
		})
		for _, length := range []int64{-1, 3 << 20} {
			text := bytes.Repeat([]byte("soup and bread! "), 3<<16)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, io.NopCloser(bytes.NewReader(text)))
			require.NoError(t, err)
			req.ContentLength = length
			resp, err := e.client.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, sha256.Sum256(text), sha256.Sum256(body))
		}
	})

	t.Run("brings_an_answer_that_comes_before_the_bodys_end", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "no orders today")
		})
		conn := e.dial(t)
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000000\r\n\r\nthe first piece")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, "the client has not sent all, and waits")
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusForbidden, resp.StatusCode)
		assert.Equal(t, "no orders today", string(body))
		assert.True(t, resp.Close, "nobody reads the rest: the connection must be closed")
	})

	t.Run("ends_when_the_backend_dies_and_the_client_waits_78973", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		e.config.UploadIdle = 50 * time.Millisecond
		e.build(t)
		a := e.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000000\r\n\r\nthe first piece")
		assert.Contains(t, []int{http.StatusRequestTimeout, http.StatusBadGateway}, a.StatusCode, "whichever is noticed first: the client sends nothing more")
		assert.True(t, a.Close)
		e.quiet(t)
	})

	t.Run("trailers_pass_announced_or_not", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "soup")
			w.Header().Set("X-Sum", "7")
			w.Header().Set(http.TrailerPrefix+"X-More", "8")
			w.Header().Set(http.TrailerPrefix+"Content-Length", "9")
		})
		for range 2 {
			resp, err := e.client.Get(e.url)
			require.NoError(t, err)
			assert.Equal(t, http.Header{"X-Sum": nil}, resp.Trailer, "announced")
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, "soup", string(body))
		}
	})

	t.Run("trailers_arrive", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, r.Trailer)
				return
			}
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "soup")
			w.Header().Set("X-Sum", "7")
			w.Header().Set(http.TrailerPrefix+"X-More", "8")
		})
		resp, err := e.client.Get(e.url)
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.Header{"X-Sum": {"7"}, "X-More": {"8"}}, resp.Trailer)
		assert.Equal(t, "map[X-Sum:[7]]", e.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nsoup\r\n0\r\nX-Sum: 7\r\n\r\n").body, "of the request")
	})
}

// TestHTTP2 is what differs between HTTP/2 and HTTP/1.1, on the client's side.
func TestHTTP2(t *testing.T) {
	e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			http.NewResponseController(w).EnableFullDuplex() // or net/http waits for the body before it answers
			w.WriteHeader(http.StatusForbidden)
		case "/hints":
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
		default:
			http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Trailer", "X-Sum")
			w.(http.Flusher).Flush()
			io.Copy(flushed{w}, r.Body)
			w.Header().Set("X-Sum", "7")
		}
	}, "h2")

	t.Run("streams_both_ways_at_once_with_trailers", func(t *testing.T) {
		body, upload := io.Pipe()
		resp, err := e.client.Post(e.url, "text/plain", body)
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", resp.Proto)
		for _, piece := range []string{"one", "two"} {
			io.WriteString(upload, piece)
			buf := make([]byte, 3)
			_, err := io.ReadFull(resp.Body, buf)
			require.NoError(t, err)
			require.Equal(t, piece, string(buf))
		}
		upload.Close()
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.Header{"X-Sum": {"7"}}, resp.Trailer)
		e.quiet(t)
	})

	t.Run("brings_an_answer_that_comes_before_the_bodys_end", func(t *testing.T) {
		body, upload := io.Pipe()
		defer upload.Close()
		resp, err := e.client.Post(e.url+"/early", "text/plain", body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusForbidden, resp.StatusCode)
		e.quiet(t)
	})

	t.Run("ends_an_upload_that_stands_still", func(t *testing.T) {
		e.config.UploadIdle = 50 * time.Millisecond
		e.build(t)
		body, upload := io.Pipe()
		defer upload.Close()
		resp, err := e.client.Post(e.url, "text/plain", body)
		if err == nil && resp.StatusCode != http.StatusRequestTimeout {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			assert.Error(t, err, "the answer had begun: it is cut")
		}
		e.quiet(t)
	})

	t.Run("passes_1xx", func(t *testing.T) {
		codes := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			codes += code
			return nil
		}})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/hints", nil)
		require.NoError(t, err)
		resp, err := e.client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusEarlyHints, codes)
	})
}

// flushed flushes each piece.
type flushed struct{ http.ResponseWriter }

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

func TestInterim(t *testing.T) {
	hints := func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "</a.css>; rel=preload")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Set("Keep-Alive", "timeout=5")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
		h.Del("Connection")
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "soup")
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run("answers_pass_without_this_hops_fields_26088_81319_"+method, func(t *testing.T) {
			e := startEdge(t, hints)
			var got []string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				got = append(got, fmt.Sprint(code, " ", h))
				return nil
			}})
			req, err := http.NewRequestWithContext(ctx, method, e.url, strings.NewReader(map[string]string{http.MethodPost: "one soup"}[method]))
			require.NoError(t, err)
			resp, err := e.client.Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, []string{"103 map[Link:[</a.css>; rel=preload]]"}, got)
			assert.Empty(t, resp.Header.Get("Link"), "what was said in the hint was said in the hint")
		})
	}

	t.Run("answers_do_not_reach_HTTP_1_0", func(t *testing.T) {
		conn := startEdge(t, hints).dial(t)
		fmt.Fprint(conn, "GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.0 200 OK\r\n", line)
	})

	t.Run("100_comes_once_and_only_if_the_backend_wants_the_body", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refused" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			io.Copy(w, r.Body)
		})
		for path, want := range map[string]string{"/refused": "403 Forbidden", "/wanted": "100 Continue"} {
			conn := e.dial(t)
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n", path)
			in := bufio.NewReader(conn)
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "HTTP/1.1 "+want+"\r\n", line, path)
			if path == "/wanted" {
				fmt.Fprint(conn, "one soup")
				_, err = in.ReadString('\n')
				require.NoError(t, err)
				resp, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, resp.StatusCode, "and no second 100")
				assert.Equal(t, "one soup", string(text))
			}
		}
	})
}

func TestUpgrade(t *testing.T) {
	const ask = "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat\r\n\r\n"

	t.Run("keeps_what_came_right_behind_the_request_80875", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) { io.Copy(conn, in) }))
		conn, in, resp := e.upgrade(t, ask+"hello, ")
		assert.Equal(t, "chat", resp.Header.Get("Upgrade"))
		assert.Equal(t, "Upgrade", resp.Header.Get("Connection"))
		assert.NotContains(t, resp.Header, "Keep-Alive", "the backend's word for this hop")
		fmt.Fprint(conn, "kitchen")
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		assert.Equal(t, "hello, kitchen", string(text))
		e.quiet(t)
	})

	t.Run("lets_the_client_finish_first_35892", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) {
			text, _ := io.ReadAll(in)
			fmt.Fprintf(conn, "you said %q", text)
		}))
		conn, in, _ := e.upgrade(t, ask)
		fmt.Fprint(conn, "hello")
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		assert.Equal(t, `you said "hello"`, string(text))
		e.quiet(t)
	})

	t.Run("lets_the_backend_finish_first_35892", func(t *testing.T) {
		heard := make(chan string, 1)
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) {
			fmt.Fprint(conn, "closing time")
			conn.(*net.TCPConn).CloseWrite()
			text, _ := io.ReadAll(in)
			heard <- string(text)
		}))
		conn, in, _ := e.upgrade(t, ask)
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		assert.Equal(t, "closing time", string(text))
		fmt.Fprint(conn, "good night")
		conn.Close()
		assert.Equal(t, "good night", await(t, heard, "what the client says after the backend is through"))
		e.quiet(t)
	})

	t.Run("ends_when_the_client_is_gone_75807", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) { io.Copy(io.Discard, in) }))
		conn, _, _ := e.upgrade(t, ask)
		conn.Close()
		e.quiet(t)
	})

	t.Run("ends_when_one_side_never_does_75807", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) {})) // closes at once; the client keeps its side open
		e.config.TunnelIdle = 200 * time.Millisecond
		e.build(t)
		conn, in, _ := e.upgrade(t, ask)
		defer conn.Close()
		_, err := io.ReadAll(in)
		assert.NoError(t, err)
		e.quiet(t)
	})

	t.Run("ends_when_nothing_passes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, front := net.Pipe()
			back, backend := net.Pipe()
			who, err := forwarded.New(forwarded.Config{})
			require.NoError(t, err)
			f, err := proxy.NewForward(proxy.ForwardConfig{
				Forwarded: who, Fail: func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }, TunnelIdle: 10 * time.Minute,
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{"Upgrade": {"chat"}}, Body: back}, nil
				}),
			})
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = http.Header{"Connection": {"upgrade"}, "Upgrade": {"chat"}}
			ended := make(chan time.Time, 1)
			go func() {
				f.ServeHTTP(hijackable{httptest.NewRecorder(), front}, r)
				ended <- time.Now()
			}()
			in := bufio.NewReader(client)
			_, err = http.ReadResponse(in, nil)
			require.NoError(t, err)
			for range 10 {
				time.Sleep(9 * time.Minute)
				fmt.Fprint(backend, "x")
				_, err := in.ReadByte()
				require.NoError(t, err, "something passes, if only one way")
			}
			last := time.Now()
			_, err = in.ReadByte()
			assert.Error(t, err)
			assert.Equal(t, 10*time.Minute, (<-ended).Sub(last))
		})
	})

	t.Run("ends_with_the_requests_context_35559", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) { io.Copy(conn, in) }))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.around = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(ctx)) })
		}
		_, in, _ := e.upgrade(t, ask)
		cancel()
		_, err := in.ReadByte()
		assert.Error(t, err)
		e.quiet(t)
	})

	for name, answer := range map[string]string{
		"another_protocol": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: poker\r\n\r\n",
		"none":             "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		t.Run("refuses_a_change_to_"+name+"_80875", func(t *testing.T) {
			e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if assert.NoError(t, err) {
					defer conn.Close()
					io.WriteString(conn, answer)
					conn.SetReadDeadline(time.Now().Add(patience))
					_, err := conn.Read(make([]byte, 1))
					assert.ErrorIs(t, err, io.EOF, "its connection must be closed")
				}
			})
			assert.Equal(t, http.StatusBadGateway, e.raw(t, ask).StatusCode)
			e.quiet(t)
		})
	}

	t.Run("refuses_a_change_that_cannot_be_had_80875", func(t *testing.T) {
		e := startEdge(t, switching(func(conn net.Conn, in io.Reader) { io.Copy(conn, in) }))
		e.around = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(struct{ http.ResponseWriter }{w}, r) // no Hijacker
			})
		}
		assert.Equal(t, http.StatusBadGateway, e.raw(t, ask).StatusCode)
		e.quiet(t)
	})

	t.Run("does_not_offer_h2c_80416", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header["Connection"], r.Header["Upgrade"])
		})
		for _, request := range []string{"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x", "Connection: Upgrade\r\nUpgrade: websocket, H2C", "Upgrade: websocket"} {
			assert.Equal(t, "[] []", e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\n"+request+"\r\n\r\n").body, request)
		}
	})

	t.Run("may_be_refused_by_the_backend", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header["Connection"], r.Header["Upgrade"])
		})
		assert.Equal(t, "[Upgrade] [chat]", e.raw(t, ask).body)
	})
}

func TestFaults(t *testing.T) {
	t.Run("half_an_answer_looks_like_half_of_one_23643_28239_56228", func(t *testing.T) {
		for _, length := range []string{"", "100"} {
			e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, "half of")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			})
			var panicked any
			e.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						if panicked = recover(); panicked != nil {
							panic(panicked) // as chapter 4's recovery does with this one
						}
					}()
					next.ServeHTTP(w, r)
				})
			}
			conn := e.dial(t)
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			assert.Error(t, err)
			e.quiet(t)
			assert.Equal(t, http.ErrAbortHandler, panicked)
			assert.Contains(t, e.log.String(), "answer broken off")
		}
	})

	t.Run("a_client_that_left_is_no_502_20071", func(t *testing.T) {
		entered := make(chan bool, 1)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			entered <- true
			<-r.Context().Done()
		})
		conn := e.dial(t)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		await(t, entered, "the request is at the backend")
		conn.Close()
		eventually(t, func() bool { return strings.Contains(e.log.String(), "status=499") }, "it must be in the log")
		assert.NotContains(t, e.log.String(), "status=502")
		e.quiet(t)
	})

	t.Run("a_client_that_leaves_in_the_middle_is_in_no_log_and_the_backend_learns", func(t *testing.T) {
		gone := make(chan bool, 1)
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, strings.Repeat("soup", 1000))
				w.(http.Flusher).Flush()
			}
			gone <- true
		})
		conn := e.dial(t)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		_, err := conn.Read(make([]byte, 100))
		require.NoError(t, err)
		conn.Close()
		await(t, gone, "the backend must learn that the client left")
		e.quiet(t)
	})

	t.Run("an_upload_that_breaks_off_is_the_clients_fault", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		a := e.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
		assert.Equal(t, http.StatusBadRequest, a.StatusCode)
		e.quiet(t)
	})

	t.Run("a_body_is_sent_once_or_kept_16036_33726", func(t *testing.T) {
		for method, want := range map[string]int{http.MethodPut: http.StatusOK, http.MethodPost: http.StatusBadGateway} {
			var mu sync.Mutex
			var bodies []string
			e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				if bodies = append(bodies, string(text)); len(bodies) == 1 {
					panic(http.ErrAbortHandler)
				}
			})
			e.add(t, "b", e.backend.Config.Handler)
			a := e.raw(t, method+" / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 8\r\n\r\none soup")
			assert.Equal(t, want, a.StatusCode, method)
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, slices.Repeat([]string{"one soup"}, map[string]int{http.MethodPut: 2, http.MethodPost: 1}[method]), bodies)
		}
	})

	t.Run("a_config_is_checked_at_once", func(t *testing.T) {
		_, err := proxy.NewForward(proxy.ForwardConfig{TunnelIdle: -1})
		assert.ErrorContains(t, err, "required")
		assert.ErrorContains(t, err, "tunnels")
	})
}

// edge is a Forward over a real backend, and a client.
type edge struct {
	url, addr string
	client    *http.Client
	backend   *httptest.Server
	around    func(http.Handler) http.Handler // set before requests are sent
	config    proxy.ForwardConfig             // set before build
	running   atomic.Int64                    // requests, at the edge
	log       safeBuffer

	pool     *balancer.Pool
	dispatch *dispatch.Handler
	handler  http.Handler
}

func startEdge(t *testing.T, backend http.HandlerFunc, protocol ...string) *edge {
	t.Helper()
	e := &edge{pool: new(balancer.Pool)}
	e.backend = e.add(t, "a", backend)
	std := upstream.New(upstream.Config{})
	fast := fastpath.New(std)
	logger := slog.New(slog.NewTextHandler(&e.log, nil))
	var err error
	e.dispatch, err = dispatch.New(dispatch.Config{Pool: e.pool, Picker: roundrobin.New(0), Transport: fast, Log: logger})
	require.NoError(t, err)
	e.build(t)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.running.Add(1)
		defer e.running.Add(-1)
		h := e.handler
		if e.around != nil {
			h = e.around(h)
		}
		h.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	if len(protocol) > 0 { // HTTP/2
		front.EnableHTTP2 = true
		front.StartTLS()
		tr = front.Client().Transport.(*http.Transport)
	} else {
		front.Start()
	}
	e.url, e.addr = front.URL, front.Listener.Addr().String()
	e.client = &http.Client{Transport: tr, Timeout: patience}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		front.CloseClientConnections()
		front.Close()
		fast.CloseIdleConnections()
	})
	return e
}

// build makes a new Forward, before requests are sent.
func (e *edge) build(t *testing.T) {
	t.Helper()
	who, err := forwarded.New(forwarded.Config{})
	require.NoError(t, err)
	e.config.Transport, e.config.Forwarded, e.config.Fail = e.dispatch, who, e.dispatch.Fail
	e.config.Log = slog.New(slog.NewTextHandler(&e.log, nil))
	e.handler, err = proxy.NewForward(e.config)
	require.NoError(t, err)
}

func (e *edge) add(t *testing.T, name string, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	backend, err := balancer.NewBackend(name, s.Listener.Addr().String(), 1)
	require.NoError(t, err)
	require.NoError(t, e.pool.Add(backend))
	return s
}

func (e *edge) get(t *testing.T, path string) {
	resp, err := e.client.Get(e.url + path)
	if assert.NoError(t, err) {
		_, err = io.Copy(io.Discard, resp.Body)
		assert.NoError(t, err)
		resp.Body.Close()
	}
}

type answer struct {
	*http.Response
	body string
}

// raw sends request as it stands.
func (e *edge) raw(t *testing.T, request string) answer {
	t.Helper()
	conn := e.dial(t)
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	require.NoError(t, err, "%.100q", request)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp, string(body)}
}

func (e *edge) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// upgrade asks for a change of the protocol, and gets it.
func (e *edge) upgrade(t *testing.T, request string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn := e.dial(t)
	fmt.Fprint(conn, request)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	return conn, in, resp
}

// quiet waits until nothing is under way any more, at the edge and at the
// backends.
func (e *edge) quiet(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		if e.running.Load() > 0 {
			return false
		}
		for _, b := range e.pool.Backends() {
			if b.Active() > 0 {
				return false
			}
		}
		return true
	}, "the request must come to its end, at both ends")
}

// hijackable is an answer on conn.
type hijackable struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// switching is a backend that changes the protocol, and then talks.
func switching(talk func(conn net.Conn, in io.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nKeep-Alive: timeout=5\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		early, _ := rw.Reader.Peek(rw.Reader.Buffered())
		talk(conn, io.MultiReader(bytes.NewReader(early), conn))
	}
}

type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func await[T any](t *testing.T, event <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-event:
	case <-time.After(patience):
		require.Fail(t, "nothing happened", why)
	}
	return v
}

func eventually(t *testing.T, is func() bool, why string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), why)
	}
}
