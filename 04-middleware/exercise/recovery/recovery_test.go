package recovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/exercise/recovery"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// broken is what a write to a connection returns whose other end is gone.
var broken = &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}

func TestNew(t *testing.T) {
	t.Run("answers_500", func(t *testing.T) {
		for _, value := range []any{"no such dish", errors.New("no such dish"), 42, []string{"soup"}} {
			house := newHouse(t, func(*gin.Context) { panic(value) })
			house.answers500(t, fmt.Sprintf("by a panic with a %T: %v", value, value))
		}
	})

	t.Run("answers_500_to_the_panics_of_the_runtime", func(t *testing.T) {
		for name, handler := range map[string]gin.HandlerFunc{
			"by reading what a nil pointer points to": func(*gin.Context) { var d *problem.Details; _ = d.Status },
			"by writing into a nil map":               func(*gin.Context) { var m map[string]int; m["soup"]++ },
			"by panic(nil)":                           func(*gin.Context) { panic(nil) },
		} {
			newHouse(t, handler).answers500(t, name)
		}
	})

	t.Run("answers_500_though_another_status_was_set", func(t *testing.T) {
		house := newHouse(t, func(c *gin.Context) {
			c.Status(http.StatusCreated)
			panic("no such dish")
		})
		house.answers500(t, "after it had set the status 201 (c.Status), which gin would have sent when all handlers had returned. So nothing is sent yet, and c.Writer.Written() says so")
	})

	t.Run("answers_with_a_problem", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic("no such dish") })
		rec := house.answers500(t, "by a panic")
		require.Equal(t, problem.ContentType, rec.Result().Header.Get("Content-Type"), "a refusal is told in the form that the whole shop uses: problem.Abort sends it (RFC 9457 §3)")
		require.EqualValues(t, 500, details(t, rec).Status, "the problem's own status is that of the answer (RFC 9457 §3.1.2)")
	})

	t.Run("names_the_request_in_the_problem", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic("no such dish") })
		rec := house.answers500(t, "by a panic")
		require.Equal(t, "01K30T8Z", details(t, rec).Instance, "the ID of the request, by request.ID, is 01K30T8Z. It is the problem's instance (RFC 9457 §3.1.5): with it the client can ask, and we can find what stands in the log")
	})

	t.Run("sends_nothing_from_inside", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { burn("password=hunter2") })
		rec := house.answers500(t, "by a panic")
		for _, inside := range []string{"hunter2", "burn", ".go", "goroutine"} {
			require.NotContains(t, rec.Body.String(), inside, "the handler panicked with password=hunter2, in a function called burn. The client gets neither the panic's value nor the stack: that goes into the log")
		}
	})

	t.Run("logs_what_happened_as_an_error", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic("no such dish") })
		house.answers500(t, "by a panic")
		require.Contains(t, house.logged(t, slog.LevelError), "no such dish", "the handler panicked with: no such dish. The log must say so, at the level Error. In the log stands:\n%s", house.log)
	})

	t.Run("logs_where_it_happened", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { burn("no such dish") })
		house.answers500(t, "by a panic")
		require.Contains(t, house.logged(t, slog.LevelError), "recovery_test.burn", "the handler panicked in a function called burn, and the log does not say so. Wanted: the stack, by runtime/debug. It has to be asked for in the deferred function itself, while the stack is still there. In the log stands:\n%s", house.log)
	})

	t.Run("logs_which_request_it_was", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic("no such dish") })
		house.answers500(t, "by a panic")
		require.Contains(t, house.logged(t, slog.LevelError), "01K30T8Z", "the ID of the request is 01K30T8Z: it has to stand in the log, too, since it is what the client quotes. In the log stands:\n%s", house.log)
	})

	t.Run("logs_nothing_that_the_client_sent", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic("no such dish") })
		req := httptest.NewRequest(http.MethodGet, "/menu?code=hunter2", nil)
		req.Header.Set("Authorization", "Bearer hunter2")
		req.Header.Set("Cookie", "session=hunter2")
		house.send(t, req)
		require.NotContains(t, house.logged(t, slog.LevelError), "hunter2", "a request came with hunter2 in its query, its cookie and its token, met a panic, and the log repeats it. Logs are copied, and read by many: the panic's value, the stack and the ID of the request are enough. In the log stands:\n%s", house.log)
	})

	t.Run("calls_no_handler_behind_the_one_that_fell", func(t *testing.T) {
		served := false
		house := newHouse(t,
			func(*gin.Context) { panic("authenticate fell") },
			func(c *gin.Context) { served = true })
		house.answers500(t, "by a panic in a handler that has another one behind it")
		require.False(t, served, "a handler panicked, it was recovered, and then gin called the handler behind it. Had the first been authenticate, anybody could order now. gin goes on with the next one unless the request is aborted: problem.Abort does that, problem.Write does not")
	})

	t.Run("serves_the_next_guest", func(t *testing.T) {
		house := newHouse(t, func(c *gin.Context) {
			if c.Query("dish") == "" {
				panic("no such dish")
			}
			c.String(http.StatusOK, "soup")
		})
		house.answers500(t, "by a panic")
		rec, panicked := house.send(t, httptest.NewRequest(http.MethodGet, "/menu?dish=soup", nil))
		require.Nil(t, panicked, "the second request met no panic of ours")
		require.Equal(t, "200 soup", fmt.Sprint(rec.Code, " ", rec.Body), "one request met a panic, and the next did not: its answer is as if nothing had been")
		require.Len(t, house.log.lines(), 1, "the second request has nothing to do with the panic, and there is one line about the first. In the log stands:\n%s", house.log)
	})

	t.Run("lets_ErrAbortHandler_pass", func(t *testing.T) {
		newHouse(t, func(*gin.Context) { panic("no such dish") }).answers500(t, "by a panic")

		house := newHouse(t, func(c *gin.Context) {
			c.String(http.StatusOK, "half a")
			panic(http.ErrAbortHandler)
		})
		_, panicked := house.send(t, menu())
		require.Equal(t, any(http.ErrAbortHandler), panicked, "the handler panicked with http.ErrAbortHandler: so it asks net/http to cut the connection, since its answer cannot be finished. Swallowed, half an answer is ended like a whole one. Let it go on: panic once more, with the same value (golang/go #23643)")
	})

	t.Run("logs_no_ErrAbortHandler", func(t *testing.T) {
		newHouse(t, func(*gin.Context) { panic("no such dish") }).answers500(t, "by a panic")

		house := newHouse(t, func(*gin.Context) { panic(http.ErrAbortHandler) })
		house.send(t, menu())
		require.Empty(t, house.log.lines(), "the handler panicked with http.ErrAbortHandler, on purpose: that is no fault, and net/http does not log it, either. In the log stands:\n%s", house.log)
	})

	t.Run("logs_a_panic_after_the_answer_was_begun", func(t *testing.T) {
		house := newHouse(t, fallHalfway)
		house.send(t, menu())
		require.Contains(t, house.logged(t, slog.LevelError), "no such dish", "the handler wrote half of its answer, and panicked with: no such dish. That is a fault like any other. In the log stands:\n%s", house.log)
	})

	t.Run("adds_nothing_to_an_answer_that_was_begun", func(t *testing.T) {
		house := newHouse(t, fallHalfway)
		rec, _ := house.send(t, menu())
		house.logged(t, slog.LevelError)
		require.Equal(t, "200 half a", fmt.Sprint(rec.Code, " ", rec.Body), `the handler wrote "half a", with status 200, and panicked. The status is sent, and two answers in one are none: nothing may be added. (c.Writer.Written tells)`)
	})

	for _, way := range []struct {
		name, text, did string
		flush           bool
	}{
		{"cuts_the_connection_of_an_answer_that_was_begun", "half a", `wrote "half a", and had it sent,`, true},
		{"cuts_the_connection_also_before_a_byte_has_left", "half a", `wrote "half a", which is still in the server's buffer,`, false},
		{"cuts_the_connection_also_where_there_is_no_body_yet", "", "had the status and the header sent (c.Writer.Flush), and nothing of the body yet,", true},
	} {
		t.Run(way.name, func(t *testing.T) {
			house := newHouse(t, func(c *gin.Context) {
				if way.text != "" {
					c.String(http.StatusOK, way.text)
				}
				if way.flush {
					c.Writer.Flush()
				}
				panic("no such dish")
			})
			server := house.open(t)
			resp, err := server.Client().Get(server.URL + "/menu")
			var body []byte
			if err == nil {
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err == nil {
				require.Fail(t, "the client was told nothing", `over a real connection: the handler %s and panicked. The client got %s with %q, as a complete answer, and takes it for the whole menu. Wanted: the connection is cut, so that the client sees an error (RFC 9112 §8). Whoever panics with http.ErrAbortHandler asks net/http for that. (c.Writer.Written tells whether an answer was begun)`, way.did, resp.Status, body)
			}
			house.logged(t, slog.LevelError)
			require.Empty(t, server.log.String(), "the panic went on to net/http as it was, and was logged there once more. Wanted: http.ErrAbortHandler takes its place, which net/http does not log")
		})
	}

	t.Run("takes_it_for_no_fault_that_the_client_left", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic(fmt.Errorf("menu: %w", broken)) })
		ctx, leave := context.WithCancel(t.Context())
		leave()
		house.send(t, menu().WithContext(ctx))
		require.Len(t, house.log.lines(), 1, "the client left (the request's context is done), and the handler panicked with the error of writing to it: %v. Wanted: one line in the log. In it stands:\n%s", broken, house.log)
		house.logged(t, slog.LevelInfo)
	})

	t.Run("logs_no_stack_of_a_client_that_left", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { burn(broken) })
		ctx, leave := context.WithCancel(t.Context())
		leave()
		house.send(t, menu().WithContext(ctx))
		require.NotContains(t, house.logged(t, slog.LevelInfo), "goroutine", "the client left: nobody has to look for where in our code that was")
	})

	t.Run("answers_no_client_that_left", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic(broken) })
		ctx, leave := context.WithCancel(t.Context())
		leave()
		rec, panicked := house.send(t, menu().WithContext(ctx))
		require.Empty(t, rec.Body.String(), "the client left: nobody reads an answer")
		require.Equal(t, any(http.ErrAbortHandler), panicked, "the client left. Wanted: the handler ends by http.ErrAbortHandler, so that net/http gives up the connection, and the access log says aborted, and not 200")
	})

	t.Run("knows_a_client_that_left_from_a_real_connection", func(t *testing.T) {
		house := newHouse(t, func(c *gin.Context) {
			for {
				if _, err := c.Writer.Write(make([]byte, 64<<10)); err != nil {
					panic(err)
				}
			}
		})
		server := house.open(t)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET /menu HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 1<<10))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).SetLinger(0)) // so that closing resets
		require.NoError(t, conn.Close())
		select {
		case <-server.done:
		case <-time.After(5 * time.Second):
			require.Fail(t, "the handler has not returned")
		}
		require.Contains(t, house.logged(t, slog.LevelInfo), "01K30T8Z", "a client closed its connection in the middle of a long answer, and the handler panicked with the error of its Write. That is no fault of ours. In the log stands:\n%s", house.log)
	})

	t.Run("takes_a_broken_database_for_a_fault", func(t *testing.T) {
		house := newHouse(t, func(*gin.Context) { panic(fmt.Errorf("orders: %w", broken)) })
		house.answers500(t, "by a panic with the error of a broken pipe, while the client is still there: its context is not done. So it was another connection that broke, to a database perhaps. (ClientLeft looks at both.)")
	})

	t.Run("asks_the_context_that_the_request_came_with", func(t *testing.T) {
		house := newHouse(t, func(c *gin.Context) {
			ctx, cancel := context.WithCancel(c.Request.Context())
			cancel()
			request.Note(c, ctx)
			panic(fmt.Errorf("orders: %w", broken))
		})
		house.answers500(t, "by a panic with the error of a broken pipe, after deadline had put a context of its own into the request, whose time was up. The client is still there: the context that the request came with is not done. Note it before c.Next.")
	})

	t.Run("leaves_goexit_alone", func(t *testing.T) {
		newHouse(t, func(*gin.Context) { panic("no such dish") }).answers500(t, "by a panic")

		house := newHouse(t, func(*gin.Context) { runtime.Goexit() })
		rec, _ := house.send(t, menu())
		require.Empty(t, rec.Body.String(), "the handler called runtime.Goexit, which ends the goroutine, and is no panic: recover returns nil. Nothing is answered")
		require.Empty(t, house.log.lines(), "the handler called runtime.Goexit, which is no panic: recover returns nil. Nothing is logged. In the log stands:\n%s", house.log)
	})
}

// burn panics.
//
//go:noinline
func burn(value any) { panic(value) }

// fallHalfway panics after it has begun to answer.
func fallHalfway(c *gin.Context) {
	c.String(http.StatusOK, "half a")
	panic("no such dish")
}

// house is a gin engine with the handler under test in front, and its log.
type house struct {
	engine *gin.Engine
	log    *book
}

func newHouse(t *testing.T, handlers ...gin.HandlerFunc) *house {
	t.Helper()
	h := &house{engine: gin.New(), log: &book{}}
	handler, err := recovery.New(recovery.Config{Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	h.engine.Use(func(c *gin.Context) { request.Note(c, request.WithID(c.Request.Context(), "01K30T8Z")) }, handler)
	h.engine.GET("/menu", handlers...)
	return h
}

// send lets the engine answer req, and returns the answer and what panicked.
func (h *house) send(t *testing.T, req *http.Request) (rec *httptest.ResponseRecorder, panicked any) {
	t.Helper()
	rec = httptest.NewRecorder()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		h.engine.ServeHTTP(rec, req)
	}()
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	select {
	case panicked = <-done:
		return rec, panicked
	case <-timeout.C:
		require.Failf(t, "stuck", "%s %s: no answer after two seconds", req.Method, req.URL)
		return nil, nil
	}
}

// answers500 asks for the menu, where the handler fell as what says.
func (h *house) answers500(t *testing.T, what string) *httptest.ResponseRecorder {
	t.Helper()
	rec, panicked := h.send(t, menu())
	if panicked == http.ErrAbortHandler {
		require.Failf(t, "the connection is cut", "the handler fell, %s\nIt had not answered anything before, and http.ErrAbortHandler had the connection cut. Wanted: 500, and the panic in the log as an Error", what)
	}
	if panicked != nil {
		require.Failf(t, "the panic went through", "the handler fell, %s\nThe panic went on to net/http, with the value %v, and for an answer the client gets a cut connection. Wanted: it is recovered from, and the answer is 500. (recover works in a deferred function alone, and in none that this one calls. And the fall is inside of c.Next, called after defer)", what, panicked)
	}
	require.Equal(t, http.StatusInternalServerError, rec.Code, "the handler fell, %s\nIt had not answered anything before. Wanted: 500, since it is our fault (RFC 9110 §15.6.1). (Without an answer, gin sends 200)", what)
	return rec
}

// logged is the only line of the log, which must have that level.
func (h *house) logged(t *testing.T, level slog.Level) string {
	t.Helper()
	lines := h.log.lines()
	require.Len(t, lines, 1, "one request met a panic. Wanted: one line about it. In the log stands:\n%s", h.log)
	require.Contains(t, lines[0], "level="+level.String(), "the line must have the level %v: an Error is what somebody has to look at, and a client that leaves is none", level)
	return lines[0]
}

// server is a house that is open: net/http's server, on loopback.
type server struct {
	*httptest.Server
	log  *book         // the server's own
	done chan struct{} // gets a value for each handler that has ended
}

func (h *house) open(t *testing.T) *server {
	t.Helper()
	s := &server{log: &book{}, done: make(chan struct{}, 10)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.done <- struct{}{} }()
		h.engine.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(s.log, "", 0)
	s.Start()
	s.Client().Timeout = 5 * time.Second
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// book is a log that many may write to.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *book) lines() []string {
	text := strings.TrimSpace(b.String())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func menu() *http.Request { return httptest.NewRequest(http.MethodGet, "/menu", nil) }

func details(t *testing.T, rec *httptest.ResponseRecorder) (d problem.Details) {
	t.Helper()
	assert.NoError(t, json.Unmarshal(rec.Body.Bytes(), &d), "the body must be a problem, as problem.Abort sends it. It is: %s", rec.Body)
	return d
}

func BenchmarkNew(b *testing.B) {
	handler, err := recovery.New(recovery.Config{})
	if err != nil {
		b.Fatal(err)
	}
	bare, safe := gin.New(), gin.New()
	safe.Use(handler)
	for name, engine := range map[string]*gin.Engine{"bare": bare, "safe": safe} {
		engine.GET("/menu", func(*gin.Context) {})
		b.Run(name, func(b *testing.B) {
			req, w := menu(), discard{}
			b.ReportAllocs()
			for b.Loop() {
				engine.ServeHTTP(w, req)
			}
		})
	}
}

// discard is a ResponseWriter that costs nothing.
type discard http.Header

func (d discard) Header() http.Header         { return http.Header(d) }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
