package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/05-business-logic/exercise/idempotency"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// Handler, which is given, on top of Do.
func TestHandler(t *testing.T) {
	t.Run("sends_the_answer_again_and_says_so", func(t *testing.T) {
		p := newPass(t)
		first, second := p.post("ada", "key-1", soup), p.post("ada", `"key-1"`, soup)
		require.Equal(t, http.StatusCreated, first.Code, "POST /orders with key-1: the status that the handler behind has sent")
		require.Empty(t, first.Header().Get(idempotency.Replayed))
		require.Equal(t, []string{"/orders/1"}, first.Header().Values("Location"))
		require.Equal(t, http.StatusCreated, second.Code)
		assert.Equal(t, "true", second.Header().Get(idempotency.Replayed))
		assert.Equal(t, first.Body.String(), second.Body.String())
		assert.Equal(t, first.Header().Get("Location"), second.Header().Get("Location"))
		assert.Equal(t, first.Header().Get("Content-Type"), second.Header().Get("Content-Type"))
		assert.Equal(t, []string{soup}, p.bodies, "the handler behind gets the body whole, once")
	})

	t.Run("remembers_what_those_behind_have_set_alone", func(t *testing.T) {
		p := newPass(t)
		first, second := p.post("ada", "key-1", soup), p.post("ada", "key-1", soup)
		require.Equal(t, "request-1", first.Header().Get("X-Request-ID"))
		require.Equal(t, "request-2", second.Header().Get("X-Request-ID"))
		assert.Equal(t, "true", second.Header().Get(idempotency.Replayed))
	})

	t.Run("adds_to_what_those_in_front_have_in_Vary", func(t *testing.T) {
		p := newPass(t)
		p.behind = func(c *gin.Context) {
			c.Writer.Header().Add("Vary", "Accept")
			c.Writer.Header().Add("Vary", "Origin") // who is in front has that already
			c.String(http.StatusCreated, "soup")
		}
		for _, as := range []string{"the first answer", "the answer that is sent again"} {
			got := p.post("ada", "key-1", soup)
			require.Equal(t, http.StatusCreated, got.Code)
			assert.Equal(t, []string{"Origin", "Accept"}, got.Header().Values("Vary"), "%s: cors, in front, has Vary: Origin, and the handler behind adds Accept. Without one of the two, a cache gives a client what is another's: RFC 9110 §12.5.5", as)
		}
	})

	t.Run("answers_422_to_another_body", func(t *testing.T) {
		p := newPass(t)
		p.post("ada", "key-1", soup)
		got := p.post("ada", "key-1", stew)
		require.Equal(t, http.StatusUnprocessableEntity, got.Code)
		assert.Equal(t, problem.ContentType, got.Result().Header.Get("Content-Type"))
		assert.Len(t, p.bodies, 1)
	})

	t.Run("answers_422_to_another_path", func(t *testing.T) {
		p := newPass(t)
		p.post("ada", "key-1", soup)
		assert.Equal(t, http.StatusUnprocessableEntity, p.do("ada", "/orders/17/cancel", soup, "key-1").Code)
	})

	t.Run("answers_409_while_the_first_is_under_way", func(t *testing.T) {
		p := newPass(t)
		entered, gate := make(chan struct{}, 2), make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		p.behind = func(c *gin.Context) {
			entered <- struct{}{}
			<-gate
			c.String(http.StatusCreated, "soup")
		}
		const why = "POST /orders twice with key-1, the second one while the first is under way: the second has to be refused at once, and the first one answered when its handler has returned"
		first := p.start("ada", "/orders", soup, "key-1")
		select {
		case <-entered:
		case got := <-first:
			require.FailNow(t, "the handler behind was not called", "POST /orders with key-1: the answer was %d", got.Code)
		case <-time.After(patience):
			patience = 200 * time.Millisecond
			require.FailNow(t, "the handler behind was not called", "POST /orders with key-1, which nobody has used: Do neither returns nor calls handle")
		}
		second := p.wait(p.start("ada", "/orders", soup, "key-1"), why)
		open()
		require.Equal(t, http.StatusConflict, second.Code)
		assert.NotEmpty(t, second.Header().Get("Retry-After"))
		assert.Equal(t, http.StatusCreated, p.wait(first, why).Code)
	})

	t.Run("remembers_no_answer_that_was_not_given", func(t *testing.T) {
		p := newPass(t)
		p.behind = func(c *gin.Context) { c.Abort() }
		got := p.post("ada", "key-1", soup)
		require.Empty(t, got.Body)
		p.behind = func(c *gin.Context) { c.String(http.StatusCreated, "soup") }
		assert.Equal(t, http.StatusCreated, p.post("ada", "key-1", soup).Code)
	})

	t.Run("passes_on_what_is_not_remembered", func(t *testing.T) {
		p := newPass(t)
		p.behind = func(c *gin.Context) {
			c.Header("Retry-After", "5")
			problem.Abort(c, problem.Details{Status: http.StatusServiceUnavailable})
		}
		got := p.post("ada", "key-1", soup)
		require.Equal(t, http.StatusServiceUnavailable, got.Code)
		assert.Equal(t, "5", got.Result().Header.Get("Retry-After"))
		assert.Equal(t, problem.ContentType, got.Result().Header.Get("Content-Type"))
	})

	t.Run("gives_the_writer_back_in_a_panic", func(t *testing.T) {
		p := newPass(t)
		p.behind = func(c *gin.Context) {
			c.String(http.StatusCreated, "half a")
			if isCallers() { // see burns
				panic("the pan burns")
			}
		}
		got := p.post("ada", "key-1", soup)
		assert.Equal(t, "500 the pan burns", fmt.Sprint(got.Code, " ", got.Body))
	})

	t.Run("names_the_request", func(t *testing.T) {
		p := newPass(t)
		id := ""
		p.behind = func(c *gin.Context) {
			id = idempotency.ID(c.Request.Context())
			c.String(http.StatusCreated, "soup")
		}
		p.post("ada", "key-1", soup)
		assert.Regexp(t, `^[a-z2-7]{26}$`, id, "idempotency.ID in the context of the handler behind")
	})
}

// What Handler refuses without asking Do.
//
//workshop:guard TestHandlerRefuses/...
func TestHandlerRefuses(t *testing.T) {
	t.Run("nobody", func(t *testing.T) {
		p := newPass(t)
		assert.Equal(t, http.StatusUnauthorized, p.post("", "key-1", soup).Code)
		assert.Empty(t, p.bodies)
	})

	t.Run("what_has_no_key", func(t *testing.T) {
		p := newPass(t)
		for _, keys := range [][]string{nil, {""}, {"a b"}, {"a", "b"}} {
			got := p.do("ada", "/orders", soup, keys...)
			require.Equal(t, http.StatusBadRequest, got.Code, "%q", keys)
			require.Equal(t, problem.ContentType, got.Result().Header.Get("Content-Type"))
		}
		assert.Empty(t, p.bodies)
	})

	t.Run("what_is_too_large", func(t *testing.T) {
		p := newPass(t)
		got := p.post("ada", "key-1", strings.Repeat(" ", 5000))
		assert.Equal(t, http.StatusRequestEntityTooLarge, got.Code)
		assert.Empty(t, p.bodies)
	})
}

// pass is a Handler, with what stands before and behind it.
type pass struct {
	t      *testing.T
	engine *gin.Engine
	behind gin.HandlerFunc
	bodies []string // that those behind have read
	asked  atomic.Int64
}

func newPass(t *testing.T) *pass {
	keys, err := idempotency.New(idempotency.Config{})
	require.NoError(t, err)
	p := &pass{t: t, engine: gin.New()}
	p.behind = func(c *gin.Context) {
		body, err := c.GetRawData()
		assert.NoError(t, err)
		p.bodies = append(p.bodies, string(body))
		c.Header("Location", fmt.Sprint("/orders/", len(p.bodies)))
		c.JSON(http.StatusCreated, gin.H{"id": len(p.bodies)})
	}
	p.engine.Use(func(c *gin.Context) {
		defer func() {
			if v := recover(); v != nil {
				c.String(http.StatusInternalServerError, "%v", v)
			}
		}()
		c.Header("Vary", "Origin")
		c.Header("X-Request-ID", fmt.Sprint("request-", p.asked.Add(1)))
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 4096)
		if subject := c.GetHeader("Subject"); subject != "" {
			request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{Subject: subject}))
		}
		c.Next()
	})
	behind := func(c *gin.Context) { p.behind(c) }
	p.engine.POST("/orders", idempotency.Handler(keys), behind)
	p.engine.POST("/orders/:id/cancel", idempotency.Handler(keys), behind)
	return p
}

func (p *pass) post(subject, key, body string) *httptest.ResponseRecorder {
	return p.do(subject, "/orders", body, key)
}

func (p *pass) do(subject, path, body string, keys ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	return p.wait(p.start(subject, path, body, keys...), "POST "+path+", and nothing else is under way: is there a way out of Do that does not unlock, or a Lock where it is locked already?")
}

// reply is what a request came to.
type reply struct {
	*httptest.ResponseRecorder
	fault string // in a panic
}

// start makes a request in a goroutine of its own.
func (p *pass) start(subject, path, body string, keys ...string) <-chan reply {
	req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Subject", subject)
	for _, key := range keys {
		req.Header.Add("Idempotency-Key", key)
	}
	done := make(chan reply, 1)
	go func() {
		rec := httptest.NewRecorder()
		fault := panics.In(func() { p.engine.ServeHTTP(rec, req) })
		done <- reply{rec, fault}
	}()
	return done
}

// wait is the answer to a request, which must not be long in coming.
func (p *pass) wait(done <-chan reply, why string) *httptest.ResponseRecorder {
	p.t.Helper()
	select {
	case got := <-done:
		assert.Empty(p.t, got.fault, "a request panicked")
		return got.ResponseRecorder
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(p.t, "no answer", why)
		return nil
	}
}
