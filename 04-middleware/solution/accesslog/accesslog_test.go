package accesslog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/accesslog"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestNew(t *testing.T) {
	t.Run("writes_one_line_about_a_request", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) { c.String(http.StatusOK, "menu") })
		book.send(t, get("/menu"))
		book.send(t, get("/menu"))
		require.Len(t, book.lines(t), 2, "two requests were made. Wanted: two lines in the log, one for each. In it stands:\n%s", book)
	})

	t.Run("names_the_method", func(t *testing.T) {
		book := newBook(t)
		book.engine.Any("/orders", func(*gin.Context) {})
		book.send(t, httptest.NewRequest(http.MethodDelete, "/orders", nil))
		book.says(t, "method", "DELETE", "the request was DELETE /orders")
		book.says(t, "msg", "request", "by this word the lines about requests are found among all others")
	})

	t.Run("names_the_route_and_not_the_path", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/orders/:id", func(*gin.Context) {})
		book.send(t, get("/orders/17"))
		book.says(t, "route", "/orders/:id", "the request was GET /orders/17, which is of the route /orders/:id. Routes can be counted: there are as many as the program has. Paths are as many as clients like. (gin knows the route: c.FullPath)")
	})

	t.Run("tells_the_status", func(t *testing.T) {
		for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusNotFound} {
			book := newBook(t)
			book.engine.GET("/menu", func(c *gin.Context) { c.String(status, "menu") })
			book.send(t, get("/menu"))
			book.says(t, "status", status, fmt.Sprintf("the handler behind answered %d. Before it has run, nobody knows: c.Next runs it, and gin would say 200 until then", status))
		}
	})

	t.Run("tells_the_status_where_no_route_matched", func(t *testing.T) {
		book := newBook(t)
		book.send(t, get("/wp-admin"))
		book.says(t, "status", http.StatusNotFound, "there is no route for GET /wp-admin, and gin answered 404")
		book.says(t, "route", "", "there is no route for GET /wp-admin, so its name is empty. Its path is what a stranger made up")
	})

	t.Run("counts_the_bytes", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) {
			c.String(http.StatusOK, "soup, ")
			c.Writer.Flush()
			c.String(http.StatusOK, "fish")
		})
		book.send(t, get("/menu"))
		book.says(t, "bytes", 10, `the handler wrote "soup, " and then "fish"`)
	})

	t.Run("counts_no_bytes_where_there_are_none", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		book.send(t, get("/menu"))
		book.says(t, "bytes", 0, "the answer was 204, which has no body: 0 bytes. (gin's Size is -1 until something is written. A log in which bytes are added up would shrink)")
	})

	t.Run("measures_the_time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			book := newBook(t)
			book.engine.GET("/menu", func(*gin.Context) { time.Sleep(3 * time.Second) })
			require.NotPanics(t, func() { book.engine.ServeHTTP(httptest.NewRecorder(), get("/menu")) })
			book.says(t, "duration", 3*time.Second.Nanoseconds(), "the handler behind took three seconds (here as nanoseconds: the attribute is a time.Duration, by slog.Duration)")
		})
	})

	t.Run("names_the_request", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) {})
		book.send(t, get("/menu"))
		book.says(t, "request_id", "01K30T8Z", "requestid, which stands in front, has noted this ID: request.ID(c.Request.Context()) knows it")
	})

	t.Run("names_the_client_that_a_trusted_proxy_names", func(t *testing.T) {
		book := newBook(t)
		require.NoError(t, book.engine.SetTrustedProxies([]string{"192.0.2.1"}))
		book.engine.GET("/menu", func(*gin.Context) {})
		req := get("/menu")
		req.Header.Set("X-Forwarded-For", "198.51.100.7")
		book.send(t, req)
		book.says(t, "client", "198.51.100.7", "the edge, at 192.0.2.1, sent X-Forwarded-For: 198.51.100.7, and the engine trusts the edge. Every request comes from the edge: its own address tells nothing. (c.ClientIP knows whom the engine trusts)")
	})

	t.Run("believes_no_address_that_a_stranger_names", func(t *testing.T) {
		book := newBook(t)
		require.NoError(t, book.engine.SetTrustedProxies(nil))
		book.engine.GET("/menu", func(*gin.Context) {})
		req := get("/menu")
		req.Header.Set("X-Forwarded-For", "198.51.100.7")
		book.send(t, req)
		book.says(t, "client", "192.0.2.1", "a client at 192.0.2.1 sent X-Forwarded-For: 198.51.100.7, and the engine trusts nobody: anyone can write such a line. (c.ClientIP knows whom the engine trusts)")
	})

	t.Run("names_who_it_was", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) {
			request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{Subject: "ada"}))
		})
		book.send(t, get("/menu"))
		book.says(t, "subject", "ada", "authenticate, which stands behind, has found out that it was ada, and put a new context into the request. Who asked for the context before c.Next has the old one, in which nobody is noted")
	})

	t.Run("names_nobody_where_nobody_was_authenticated", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) {})
		book.send(t, get("/menu"))
		require.NotContains(t, book.line(t), "subject", "nobody was authenticated (request.From is nil), so the line has no subject. An empty one would be somebody of that name, to whoever counts")
	})

	t.Run("is_an_error_where_we_failed", func(t *testing.T) {
		for _, status := range []int{500, 503, 504} {
			book := newBook(t)
			book.engine.GET("/menu", func(c *gin.Context) { c.Status(status) })
			book.send(t, get("/menu"))
			book.says(t, "level", "ERROR", fmt.Sprintf("the answer was %d: from 500 on, it is our fault, and somebody has to look", status))
		}
	})

	t.Run("is_no_error_where_the_client_did", func(t *testing.T) {
		for _, status := range []int{200, 304, 401, 404, 429, 499} {
			book := newBook(t)
			book.engine.GET("/menu", func(c *gin.Context) { c.Status(status) })
			book.send(t, get("/menu"))
			book.says(t, "level", "INFO", fmt.Sprintf("the answer was %d: below 500 we did what we are there for. Whoever is woken by every 404 stops looking", status))
		}
	})

	t.Run("tells_the_500_of_a_panic", func(t *testing.T) {
		book := newBook(t)
		book.engine.Use(recovery)
		book.engine.GET("/menu", func(*gin.Context) { panic("no such dish") })
		book.send(t, get("/menu"))
		book.says(t, "status", http.StatusInternalServerError, "the handler panicked, and recovery, which stands behind this one, made it a 500")
	})

	t.Run("writes_a_line_when_a_panic_goes_through", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) { panic(http.ErrAbortHandler) })
		book.send(t, get("/menu"))
		require.Len(t, book.lines(t), 1, "the handler panicked with http.ErrAbortHandler, which recovery lets through. Wanted: a line about this request, too, and those are the ones that somebody will look for. What stands behind c.Next() does not run then; what is deferred does")
	})

	t.Run("lets_the_panic_go_on", func(t *testing.T) {
		for _, value := range []any{http.ErrAbortHandler, "no such dish"} {
			book := newBook(t)
			book.engine.GET("/menu", func(*gin.Context) { panic(value) })
			_, panicked := book.send(t, get("/menu"))
			require.Equal(t, value, panicked, "the handler panicked with %q. Wanted: the same panic goes on to net/http, which cuts the connection. When it is stopped here, half an answer ends as if it were whole", value)
			require.Len(t, book.lines(t), 1, "the handler panicked with %q: there is a line about it", value)
		}
	})

	t.Run("says_that_it_was_aborted", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) {
			c.String(http.StatusOK, "half a")
			panic(http.ErrAbortHandler)
		})
		book.send(t, get("/menu"))
		book.says(t, "status", http.StatusOK, "the handler began its answer with 200, and that is what the client got")
		book.says(t, "aborted", true, "then it panicked: the client got 200, and half an answer. The status alone would tell of a success")
	})

	t.Run("does_not_say_so_of_others", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) { c.AbortWithStatus(http.StatusForbidden) })
		book.send(t, get("/menu"))
		require.NotContains(t, book.line(t), "aborted", "a handler behind refused the request (c.Abort): that is an answer like any other. Aborted is what ends by a panic")
	})

	t.Run("says_that_nothing_was_answered", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) { panic(http.ErrAbortHandler) })
		book.send(t, get("/menu"))
		book.says(t, "status", 0, "the handler panicked before it wrote anything, so there was no answer, and no status: 0. (gin's Status is 200 until something else is set. Its Written tells whether an answer was begun)")
	})

	t.Run("tells_no_status_that_a_panic_kept_back", func(t *testing.T) {
		for _, set := range []int{http.StatusInternalServerError, http.StatusOK} {
			book := newBook(t)
			req, leave := leaving(t)
			book.engine.GET("/menu", func(c *gin.Context) {
				c.Status(set)
				leave()
				panic(http.ErrAbortHandler)
			})
			book.send(t, req)
			book.says(t, "status", 0, fmt.Sprintf("the handler set the status %d, which gin has yet to send, the client left, and the handler panicked. Then gin sends nothing any more. Only what was begun (c.Writer.Written) counts, and that comes before the question whether the client has left", set))
			book.says(t, "level", "WARN", "the line's own status is 0, and it was aborted. The level goes by the status that stands in the line")
		}
	})

	t.Run("warns_of_what_was_aborted", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) { panic(http.ErrAbortHandler) })
		book.send(t, get("/menu"))
		book.says(t, "level", "WARN", "the handler panicked with http.ErrAbortHandler: no fault that anyone has to be woken for, and no success")
	})

	t.Run("is_an_error_also_where_it_was_aborted", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) {
			c.String(http.StatusInternalServerError, "we are")
			panic(http.ErrAbortHandler)
		})
		book.send(t, get("/menu"))
		book.says(t, "aborted", true, "the handler began its answer with 500, and panicked")
		book.says(t, "level", "ERROR", "the handler began its answer with 500, and panicked: a fault of ours stays one when it is cut off as well. A Warn is what was aborted and is no Error")
	})

	t.Run("says_that_the_client_left", func(t *testing.T) {
		book := newBook(t)
		req, leave := leaving(t)
		book.engine.GET("/menu", func(*gin.Context) { leave() })
		rec, _ := book.send(t, req)
		book.says(t, "status", 499, "the client left (the context that the request came with was canceled), and the handler returned without an answer. gin's Status is 200 until something else is set, and a log full of those looks like a good night. 499 is nginx's number for it: no client ever gets it")
		book.says(t, "level", "INFO", "the client left: that is no fault of ours")
		require.Equal(t, http.StatusOK, rec.Code, "the status that net/http was given for the client that left. 499 stands in the log alone: the answer is not for this one to change")
	})

	t.Run("tells_an_answer_though_the_client_left", func(t *testing.T) {
		for what, handler := range map[string]gin.HandlerFunc{
			"had begun its answer":                        func(c *gin.Context) { c.String(http.StatusCreated, "or") },
			"had set a status, which gin has yet to send": func(c *gin.Context) { c.Status(http.StatusCreated) },
		} {
			book := newBook(t)
			req, leave := leaving(t)
			book.engine.GET("/menu", handler, func(*gin.Context) { leave() })
			book.send(t, req)
			book.says(t, "status", http.StatusCreated, "the handler "+what+", 201, and then the client left: the order is made, whoever hears of it")
		}
	})

	t.Run("takes_no_other_end_for_a_client_that_left", func(t *testing.T) {
		book := newBook(t)
		book.engine.Use(func(c *gin.Context) {
			ctx, cancel := context.WithCancel(c.Request.Context())
			defer cancel()
			request.Note(c, ctx)
			c.Next()
		})
		book.engine.GET("/menu", func(c *gin.Context) { c.Status(http.StatusOK) })
		book.send(t, get("/menu"))
		book.says(t, "status", http.StatusOK, "the client is there. A handler behind, as deadline is one, has put a context of its own into the request, and ended it when it was done. Whether the client has left, only the context says that the request came with")
	})

	t.Run("takes_no_deadline_for_a_client_that_left", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(*gin.Context) {})
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		book.send(t, get("/menu").WithContext(ctx))
		book.says(t, "status", http.StatusOK, "the context that the request came with had a deadline, which is over. So it has ended, and the client is there: who has left is told by context.Canceled, and not by any error")
	})

	t.Run("leaves_the_errors_to_those_who_noted_them", func(t *testing.T) {
		book := newBook(t)
		book.engine.GET("/menu", func(c *gin.Context) {
			_ = c.Error(errors.New("no such code: hunter2"))
			c.Status(http.StatusInternalServerError)
		})
		book.send(t, get("/menu"))
		require.Len(t, book.lines(t), 1, "the request is logged, in one line")
		require.NotContains(t, book.String(), "hunter2", "a handler noted an error by c.Error, whose text has hunter2 in it, and the log repeats it. An error's text may hold what the client sent: who noted it knows, and logs it. In the log stands:\n%s", book)
	})

	for _, secret := range []struct {
		name, what string
		put        func(req *http.Request, secret string)
	}{
		{"tells_no_token", "Authorization: Bearer", func(req *http.Request, s string) { req.Header.Set("Authorization", "Bearer "+s) }},
		{"tells_no_cookie", "Cookie: session=", func(req *http.Request, s string) { req.Header.Set("Cookie", "session="+s) }},
		{"tells_no_query", "the query ?token=", func(req *http.Request, s string) { req.URL.RawQuery, req.RequestURI = "token="+s, "/reset/x?token="+s }},
		{"tells_no_path", "the path /reset/", func(req *http.Request, s string) { req.URL.Path, req.RequestURI = "/reset/"+s, "/reset/"+s }},
		{"tells_no_referer", "Referer: https://shop.test/reset/", func(req *http.Request, s string) { req.Header.Set("Referer", "https://shop.test/reset/"+s) }},
		{"tells_no_body", "the body password=", func(req *http.Request, s string) { req.Body = io.NopCloser(strings.NewReader("password=" + s)) }},
	} {
		t.Run(secret.name, func(t *testing.T) {
			const value = "hunter2"
			book := newBook(t)
			var body []byte
			book.engine.POST("/reset/:code", func(c *gin.Context) {
				body, _ = io.ReadAll(c.Request.Body)
				c.String(http.StatusOK, "hello")
			})
			req := httptest.NewRequest(http.MethodPost, "/reset/x", strings.NewReader("password=hunter2"))
			secret.put(req, value)
			rec, _ := book.send(t, req)
			require.Len(t, book.lines(t), 1, "the request is logged")
			require.NotContains(t, book.String(), value, "a request came with %s%s, and the log repeats it. Logs are copied, kept and read by many: nothing gets into one that a client sent in confidence", secret.what, value)
			require.Equal(t, "hello", rec.Body.String(), "the answer passes unchanged")
			require.Equal(t, "password=hunter2", string(body), "the handler behind must get the whole body: who reads it for the log takes it away")
		})
	}

	t.Run("holds_nothing_else", func(t *testing.T) {
		book := newBook(t)
		book.engine.Use(func(c *gin.Context) {
			request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{Subject: "ada", Scopes: []string{"orders:write"}}))
		})
		book.engine.GET("/menu", func(c *gin.Context) { panic(http.ErrAbortHandler) })
		req := get("/menu")
		req.Header.Set("User-Agent", "curl")
		book.send(t, req)
		known := []string{"time", "level", "msg", "method", "route", "status", "bytes", "duration", "request_id", "client", "subject", "aborted"}
		for key := range book.line(t) {
			require.Contains(t, known, key, "the line has an attribute %q, which is none of New's list. Each one more is one more that a client may write into our log, or that tells of somebody what nobody has to know: no header, no host, no port, no scopes. In the log stands:\n%s", key, book)
		}
		require.Len(t, book.line(t), len(known), "this request has them all: %q. In the log stands:\n%s", known, book)
	})
}

// book is a gin engine with the handler under test in front, and what that has
// written.
type book struct {
	engine *gin.Engine
	bytes.Buffer
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{engine: gin.New()}
	handler, err := accesslog.New(accesslog.Config{Log: slog.New(slog.NewJSONHandler(&b.Buffer, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	require.NotNil(t, handler)
	b.engine.Use(func(c *gin.Context) { request.Note(c, request.WithID(c.Request.Context(), "01K30T8Z")) }, handler)
	return b
}

// send lets the engine answer req, and returns the answer and what panicked.
func (b *book) send(t *testing.T, req *http.Request) (rec *httptest.ResponseRecorder, panicked any) {
	t.Helper()
	rec = httptest.NewRecorder()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		b.engine.ServeHTTP(rec, req)
	}()
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	select {
	case panicked = <-done:
		if err, ok := panicked.(error); ok && err != http.ErrAbortHandler {
			require.NoError(t, err, "the handler panicked")
		}
		return rec, panicked
	case <-timeout.C:
		require.Fail(t, "stuck", "%s %s: no answer after two seconds", req.Method, req.URL)
		return nil, nil
	}
}

// lines are the lines of the log.
func (b *book) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	scanner := bufio.NewScanner(bytes.NewReader(b.Bytes()))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line map[string]any
		require.NoError(t, json.Unmarshal(scanner.Bytes(), &line))
		lines = append(lines, line)
	}
	return lines
}

// line is the only one.
func (b *book) line(t *testing.T) map[string]any {
	t.Helper()
	lines := b.lines(t)
	require.Len(t, lines, 1, "one request was made. Wanted: one line in the log. In it stands:\n%s", b)
	return lines[0]
}

// says asserts that the only line has the attribute key with that value.
func (b *book) says(t *testing.T, key string, want any, why string) {
	t.Helper()
	line := b.line(t)
	require.Contains(t, line, key, "the line has no attribute %q. Wanted: %v, since %s\nin the log stands: %s", key, want, why, b)
	if fmt.Sprint(line[key]) != fmt.Sprint(want) && !equalNumbers(line[key], want) {
		require.Fail(t, "the line says something else", "%s is %v\nwanted %v: %s\nin the log stands: %s", key, line[key], want, why, b)
	}
}

func equalNumbers(got, want any) bool {
	n, ok := got.(float64)
	return ok && fmt.Sprintf("%.0f", n) == fmt.Sprint(want)
}

// leaving is a request whose client leaves when leave is called.
func leaving(t *testing.T) (req *http.Request, leave func()) {
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	return get("/menu").WithContext(ctx), leave
}

func get(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

// recovery stands in for the bouncer of that name.
func recovery(c *gin.Context) {
	defer func() {
		if recover() != nil {
			problem.Abort(c, problem.Details{Status: http.StatusInternalServerError})
		}
	}()
	c.Next()
}

func BenchmarkNew(b *testing.B) {
	handler, err := accesslog.New(accesslog.Config{Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	bare, logged := gin.New(), gin.New()
	logged.Use(handler)
	for name, engine := range map[string]*gin.Engine{"bare": bare, "logged": logged} {
		engine.GET("/menu", func(*gin.Context) {})
		b.Run(name, func(b *testing.B) {
			req, w := get("/menu"), discard{}
			b.ReportAllocs()
			for b.Loop() {
				engine.ServeHTTP(w, req)
			}
		})
	}
	b.Run("slog_alone", func(b *testing.B) {
		log, ctx := slog.New(slog.NewJSONHandler(io.Discard, nil)), b.Context()
		b.ReportAllocs()
		for b.Loop() {
			log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("method", "GET"), slog.String("route", "/menu"), slog.Int("status", 200), slog.Int("bytes", 0),
				slog.Duration("duration", 300), slog.String("request_id", ""), slog.String("client", "192.0.2.1"))
		}
	})
}

// discard is a ResponseWriter that costs nothing.
type discard http.Header

func (d discard) Header() http.Header         { return http.Header(d) }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
