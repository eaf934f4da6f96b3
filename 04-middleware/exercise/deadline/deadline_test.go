package deadline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/exercise/deadline"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// timeout is Config.Timeout in these tests. Time runs in synctest: a second takes none.
const timeout = 3 * time.Second

func TestNew(t *testing.T) {
	leaf(t, "those_behind_see_a_deadline", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		var left time.Duration
		var has bool
		d.serve(t, func(c *gin.Context) {
			var end time.Time
			end, has = c.Request.Context().Deadline()
			left = time.Until(end)
		})
		require.True(t, has, "Config.Timeout is %s, and the context of the request, as those behind see it, has no deadline. A context that is made has to be put into the request: nobody looks for it elsewhere (request.Note)", timeout)
		require.Equal(t, timeout, left, "Config.Timeout is %s. That much time must be left when those behind are called", timeout)
	})

	leaf(t, "takes_ten_seconds_unless_told", func(t *testing.T) {
		d := newDoor(t, deadline.Config{})
		var left time.Duration
		d.serve(t, func(c *gin.Context) {
			if end, has := c.Request.Context().Deadline(); has {
				left = time.Until(end)
			}
		})
		require.Equal(t, deadline.DefaultTimeout, left, "Config.Timeout is 0, which means DefaultTimeout: that much must be left when those behind are called (0 here means none)")
	})

	leaf(t, "keeps_what_was_noted_before", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.before = func(c *gin.Context) {
			request.Note(c, request.WithID(c.Request.Context(), "table-4"))
		}
		var id string
		var has bool
		d.serve(t, func(c *gin.Context) {
			id = request.ID(c.Request.Context())
			_, has = c.Request.Context().Deadline()
		})
		require.True(t, has, "the context of the request, as those behind see it, has no deadline")
		require.Equal(t, "table-4", id, "a bouncer before has noted the ID table-4 in the request's context, and those behind do not find it. The new context must be made from the one that the request has: it hands on what is noted there, and ends when that does")
	})

	leaf(t, "answers_504_when_the_time_is_up", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		answer := d.serve(t, func(c *gin.Context) { wait(c, time.Minute) })
		require.Equal(t, timeout, d.took, "Config.Timeout is %s, and those behind return when their context ends, or after a minute. The request took", timeout)
		require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "Config.Timeout is %s. Those behind have returned when their context ended, without an answer. Wanted: 504", timeout)
		require.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"), "the 504 is a problem (problem.Abort)")
		var details problem.Details
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&details), "the problem is one JSON document")
		require.Equal(t, http.StatusGatewayTimeout, details.Status, "the problem's status is the answer's")
		answer = d.serve(t, func(c *gin.Context) {
			wait(c, time.Minute)
			_ = c.Error(errors.New("the query failed"))
			c.Abort()
		})
		require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "Config.Timeout is %s. When their context ended, those behind noted an error (c.Error) and aborted (c.Abort): that is a note and no answer. Wanted: 504", timeout)
	})

	leaf(t, "leaves_who_is_in_time_alone", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		answer := d.serve(t, func(c *gin.Context) {
			wait(c, timeout-time.Millisecond)
			c.String(http.StatusTeapot, "soup")
		})
		require.Equal(t, "418 soup", text(answer), "Config.Timeout is %s, and those behind answered a millisecond before: the answer is theirs", timeout)
		answer = d.serve(t, func(c *gin.Context) { wait(c, timeout-time.Millisecond) })
		require.Equal(t, "200 ", text(answer), "Config.Timeout is %s, and those behind returned a millisecond before, without an answer: that is an empty 200, as gin has it. The time was not up. (A context that was cancelled has an error, too: is it the one of the deadline?)", timeout)
	})

	leaf(t, "leaves_an_answer_that_was_begun", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		answer := d.serve(t, func(c *gin.Context) {
			c.String(http.StatusTeapot, "half a plate")
			wait(c, time.Minute)
		})
		require.Equal(t, "418 half a plate", text(answer), "those behind had begun their answer, 418, when the time was up. It is left as it is: a second answer cannot be sent, and its text would stand in the middle of the first")
	})

	leaf(t, "leaves_an_answer_that_came_late", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		answer := d.serve(t, func(c *gin.Context) {
			wait(c, time.Minute)
			c.String(http.StatusServiceUnavailable, "the database is slow")
		})
		require.Equal(t, "503 the database is slow", text(answer), "those behind saw that the time was up, and answered 503 themselves. That is the answer: they know more than we do")
	})

	leaf(t, "leaves_a_status_that_was_set", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		answer := d.serve(t, func(c *gin.Context) {
			wait(c, time.Minute)
			c.Status(http.StatusNoContent)
		})
		require.Equal(t, "204 ", text(answer), "those behind set the status 204 (c.Status) after the time was up: the order is cancelled, and there is nothing more to say. gin sends it when all have returned, so c.Writer.Written() is false by now, and c.Writer.Status() is 204. It is an answer, and 504 would deny it")
	})

	leaf(t, "keeps_a_deadline_that_is_sooner", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d.ctx = soon
		answer := d.serve(t, func(c *gin.Context) { wait(c, time.Minute) })
		require.Equal(t, time.Second, d.took, "Config.Timeout is %s, and the request came with a deadline of 1 s. The sooner one holds. The request took", timeout)
		require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "the request came with a deadline of 1 s. Those behind have returned when it was over, without an answer. Wanted: 504, as with a deadline of our own")
	})

	leaf(t, "says_nothing_to_a_client_that_left", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		client, leave := context.WithCancel(t.Context())
		d.ctx = client
		time.AfterFunc(time.Second, leave)
		answer := d.serve(t, func(c *gin.Context) { wait(c, time.Minute) })
		require.Equal(t, time.Second, d.took, "the client left after 1 s, which ended the context that the request came with: those behind must see it in theirs, and stop. The request took")
		require.Equal(t, "200 ", text(answer), "Config.Timeout is %s, and the client left after 1 s: the context's error is context.Canceled. Nothing took too long, and 504 would count as a fault of ours. Nothing is answered, since nobody is there: 200 is what gin says by itself", timeout)
	})

	leaf(t, "goes_by_what_came_first", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		client, leave := context.WithCancel(t.Context())
		d.ctx = client
		time.AfterFunc(time.Second, leave)
		answer := d.serve(t, func(*gin.Context) { time.Sleep(time.Minute) })
		require.Equal(t, "200 ", text(answer), "the client left after 1 s, Config.Timeout is %s, and those behind, who did not look, returned after a minute. The client's leaving ended the context, and the deadline came later: this is no 504. (The context's own error tells, and the clock does not)", timeout)
	})

	leaf(t, "asks_the_context_that_it_has_made", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		answer := d.serve(t, func(c *gin.Context) {
			ctx, cancel := context.WithCancel(c.Request.Context())
			request.Note(c, ctx)
			cancel()
			time.Sleep(time.Minute)
		})
		require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "those behind have put a context of their own into the request, and ended it at once. Config.Timeout is %s, and they returned after a minute, without an answer. Wanted: 504. What the request has by then tells of their context; whether the time was up, the one tells that was made here", timeout)
	})

	leaf(t, "waits_for_those_who_do_not_look", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		returned := false
		answer := d.serve(t, func(*gin.Context) {
			time.Sleep(time.Minute)
			returned = true
		})
		require.Equal(t, time.Minute, d.took, "Config.Timeout is %s, and those behind do not look at their context: they return after a minute. The request is over before. It must not be, or they run on beside the next request, with a gin.Context that is that one's by now: gin keeps them in a pool. The request took", timeout)
		require.True(t, returned, "those behind must have returned when the request is over")
		require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "those behind returned after a minute, without an answer, and Config.Timeout is %s. Wanted: 504, late, but true", timeout)
	})

	leaf(t, "ends_the_context_with_the_request", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		ctx, during := context.Background(), errors.New("not called")
		d.serve(t, func(c *gin.Context) { ctx, during = c.Request.Context(), c.Request.Context().Err() })
		require.NoError(t, during, "the context has ended before those behind were called")
		require.ErrorIs(t, ctx.Err(), context.Canceled, "those behind have returned at once, and the context that they were given goes on. Whoever makes a context ends it (cancel): until then it holds a timer, and what waits for it waits")
	})

	leaf(t, "lets_a_panic_pass", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		ctx := context.Background()
		fault := errors.New("no such dish")
		d.panics = fault
		d.serve(t, func(c *gin.Context) {
			ctx = c.Request.Context()
			panic(fault)
		})
		require.ErrorIs(t, ctx.Err(), context.Canceled, "those behind have panicked, and the context that they were given goes on. It must end then, too: only what is deferred runs in a panic")
	})

	leaf(t, "answers_nothing_in_a_panic", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		d.expires(t)
		fault := errors.New("no such dish")
		d.panics = fault
		answer := d.serve(t, func(c *gin.Context) {
			wait(c, time.Minute)
			panic(fault)
		})
		require.Equal(t, "200 ", text(answer), "those behind panicked when the time was up, and had not answered. Recovery, which stands before this one, answers that with 500. Where a 504 stands already, it can only cut the connection. What is deferred runs in a panic, too: the 504 does not belong there (200 here means that nothing was written)")
	})

	leaf(t, "leaves_what_was_noted_behind", func(t *testing.T) {
		d := newDoor(t, deadline.Config{Timeout: timeout})
		var who *request.Principal
		var has bool
		d.before = func(c *gin.Context) {
			c.Next()
			who = request.From(c.Request.Context())
		}
		d.serve(t, func(c *gin.Context) {
			_, has = c.Request.Context().Deadline()
			request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{Subject: "ada"}))
		})
		require.True(t, has, "the context of the request, as those behind see it, has no deadline")
		require.NotNil(t, who, "those behind have noted in the request's context who it is, and those before, who write the log, do not find it any more. Leave the request as it is when the others have returned")
	})
}

// Config is checked before anything else: that part is given.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("refuses_less_than_nothing", func(t *testing.T) {
		_, err := deadline.New(deadline.Config{Timeout: -time.Second})
		require.ErrorContains(t, err, "-1s")
	})
}

func BenchmarkDeadline(b *testing.B) {
	handler, err := deadline.New(deadline.Config{})
	require.NoError(b, err)
	engine := gin.New()
	engine.Use(handler)
	engine.GET("/menu", func(*gin.Context) {})
	req := httptest.NewRequest("GET", "/menu", nil)
	rec := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		engine.ServeHTTP(rec, req)
	}
}

// leaf is a subtest in a bubble of its own.
func leaf(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// door is a gin engine with the handler under test in front.
type door struct {
	engine *gin.Engine
	ctx    context.Context // that the next request comes with
	before gin.HandlerFunc // stands before, unless nil
	handle gin.HandlerFunc // stands behind
	calls  int             // of handle, in one request
	took   time.Duration   // of the last request
	panics any             // what the request shall panic with
}

func newDoor(t *testing.T, c deadline.Config) *door {
	t.Helper()
	handler, err := deadline.New(c)
	require.NoError(t, err)
	d := &door{engine: gin.New(), ctx: t.Context()}
	d.engine.Use(func(c *gin.Context) {
		if d.before != nil {
			d.before(c)
		}
	}, handler)
	d.engine.GET("/menu", func(c *gin.Context) {
		d.calls++
		d.handle(c)
	})
	return d
}

// serve returns the answer to one request, for which handle stands behind.
func (d *door) serve(t *testing.T, handle gin.HandlerFunc) *http.Response {
	t.Helper()
	d.handle, d.calls = handle, 0
	req, rec := httptest.NewRequest("GET", "/menu", nil).WithContext(d.ctx), httptest.NewRecorder()
	start := time.Now()
	func() {
		defer func() {
			got := recover()
			require.Equal(t, d.panics, got, "the panic that comes out of the handler must be the one that those behind began, or none if they did not")
		}()
		d.engine.ServeHTTP(rec, req)
	}()
	d.took = time.Since(start)
	time.Sleep(time.Hour) // what runs on beside the request comes to its end: a bubble's time stands still after it
	require.Equal(t, 1, d.calls, "how often those behind were called, for one request")
	return rec.Result()
}

// expires asserts that a request whose handler waits for its end gets 504, so that
// what follows is about a deadline that is there.
func (d *door) expires(t *testing.T) {
	t.Helper()
	answer := d.serve(t, func(c *gin.Context) { wait(c, time.Minute) })
	require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode, "Config.Timeout is %s. Those behind wait for their context to end, for a minute at most, and return without an answer. Wanted: 504", timeout)
}

// wait waits for the end of c's request, or for most.
func wait(c *gin.Context, most time.Duration) {
	select {
	case <-c.Request.Context().Done():
	case <-time.After(most):
	}
}

func text(answer *http.Response) string {
	body, _ := io.ReadAll(answer.Body)
	return answer.Status[:4] + string(body)
}
