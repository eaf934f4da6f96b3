package authorize_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/exercise/authorize"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func TestScope(t *testing.T) {
	t.Run("lets_in_who_holds_it", func(t *testing.T) {
		h := scoped(t, "orders:write")
		h.passes(t, may("ada", "menu:read", "orders:write"), "POST /orders, which needs orders:write, by ada, who holds menu:read and orders:write")
		answer := h.post(may("bob", "menu:read"))
		assert.NotEqual(t, http.StatusOK, answer.Code, "the status for POST /orders, which needs orders:write, by bob, who holds menu:read")
	})

	t.Run("answers_403_to_who_does_not", func(t *testing.T) {
		answer := scoped(t, "orders:write").post(may("bob", "menu:read"))
		assert.Equal(t, http.StatusForbidden, answer.Code, "the status for POST /orders, which needs orders:write, by bob, who holds menu:read: we know who it is, and he may not (RFC 9110 §15.5.4)")
	})

	t.Run("answers_401_to_nobody", func(t *testing.T) {
		answer := scoped(t, "orders:write").post(nil)
		assert.Equal(t, http.StatusUnauthorized, answer.Code, "the status for POST /orders, which needs orders:write, and nobody was authenticated (request.From is nil): a token would help, and that is what 401 says. 403 says that we know who it is (RFC 9110 §15.5.2, §15.5.4)")
	})

	t.Run("asks_nobody_for_a_token", func(t *testing.T) {
		answer := scoped(t, "orders:write").post(nil)
		assert.Equal(t, `Bearer realm="shop.test"`, answer.Result().Header.Get("WWW-Authenticate"), "the field WWW-Authenticate where nobody was authenticated: it says which scheme is wanted, and has no error code, since no token was wrong (RFC 6750 §3)")
	})

	t.Run("says_which_scope_is_missing", func(t *testing.T) {
		for _, scope := range []string{"orders:write", "menu:write"} {
			field := scoped(t, scope).post(may("bob")).Result().Header.Get("WWW-Authenticate")
			const why = "the field WWW-Authenticate of a 403, where %s is needed: the client may ask the issuer for a token with that scope (RFC 6750 §3.1)"
			require.Regexp(t, `^Bearer `, field, why, scope)
			require.Contains(t, field, `error="insufficient_scope"`, why, scope)
			require.Contains(t, field, `scope="`+scope+`"`, why, scope)
		}
	})

	t.Run("knows_scopes_by_their_whole_name", func(t *testing.T) {
		h := scoped(t, "orders:write")
		for _, scope := range []string{"orders", "orders:write-drafts", "preorders:write", "Orders:Write", "orders:*", "*", ""} {
			require.Equal(t, http.StatusForbidden, h.post(may("bob", scope)).Code, "the status for POST /orders, which needs orders:write, by bob, who holds %q: that is another scope, and what it means is not for us to guess", scope)
		}
		h.passes(t, may("ada", "orders:write"), "POST /orders, which needs orders:write, by ada, who holds it")
	})

	t.Run("calls_no_handler_behind", func(t *testing.T) {
		h := scoped(t, "orders:write")
		for _, who := range []*request.Principal{nil, may("bob", "menu:read")} {
			_ = h.post(who)
			require.Zero(t, h.calls, "POST /orders by %s was refused, and then the handler behind was called all the same, which would have made the order. In gin, an answer does not end the chain: Abort does", name(who))
		}
	})

	t.Run("sends_a_problem", func(t *testing.T) {
		h := scoped(t, "orders:write")
		for _, who := range []*request.Principal{nil, may("bob", "menu:read")} {
			isProblem(t, h.post(who), "POST /orders by "+name(who))
		}
	})
}

func TestOwner(t *testing.T) {
	t.Run("lets_in_whose_it_is", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		_ = h.get("18", may("ada"))
		assert.Zero(t, h.calls, "GET /orders/18 by ada: the handler behind was called, and the order is bob's")
	})

	t.Run("answers_404_for_what_is_another's", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		answer := h.get("18", may("ada"))
		assert.Equal(t, http.StatusNotFound, answer.Code, "the status for GET /orders/18 by ada, and it is bob's. 403 would say that there is an order 18, and it is not for her to know (RFC 9110 §15.5.4)")
	})

	t.Run("answers_404_for_what_is_not_there", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		for id, what := range map[string]string{"99": "an error that wraps ErrNotFound", "98": `"ada" and an error that wraps ErrNotFound`} {
			answer := h.get(id, may("ada"))
			require.Equal(t, http.StatusNotFound, answer.Code, "the status for GET /orders/%s by ada, and Of has returned %s: there is no such order, any more or yet", id, what)
			require.Zero(t, h.calls, "GET /orders/%s by ada: the handler behind was called, and there is no such order", id)
		}
	})

	t.Run("answers_both_alike", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		another, missing := h.get("18", may("ada")), h.get("99", may("ada"))
		isProblem(t, missing, "GET /orders/99, which is not there")
		const why = "of the answers to ada for bob's order 18, and for order 99, which is not there: who can tell them apart can find out which orders there are"
		assert.Equal(t, missing.Body.String(), another.Body.String(), "the bodies "+why)
		assert.Equal(t, missing.Result().Header, another.Result().Header, "the headers "+why)
	})

	t.Run("answers_401_to_nobody", func(t *testing.T) {
		answer := owned(t, authorize.Config{}).get("17", nil)
		require.Equal(t, http.StatusUnauthorized, answer.Code, "the status for GET /orders/17, and nobody was authenticated (request.From is nil): a token would help, and 404 would not tell (RFC 9110 §15.5.2)")
		assert.Equal(t, `Bearer realm="shop.test"`, answer.Result().Header.Get("WWW-Authenticate"), "the field WWW-Authenticate of a 401 (RFC 6750 §3)")
	})

	t.Run("looks_nothing_up_for_nobody", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		require.Equal(t, []string{"17"}, h.asked, "the IDs that Of was asked for, for GET /orders/17 by ada")
		_ = h.get("17", nil)
		assert.Empty(t, h.asked, "the IDs that Of was asked for, for GET /orders/17 by nobody: they are refused whatever it says, and strangers should not make the database work")
	})

	t.Run("compares_IDs_and_not_names", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		for _, subject := range []string{"Ada", "ADA", "ada ", "\u200bada", "ad", "adam", "аda"} { // the last one begins in Cyrillic
			require.Equal(t, http.StatusNotFound, h.get("17", may(subject)).Code, "the status for GET /orders/17 by %+q, and it is \"ada\"'s: names may look alike, and be written in this way or that, but IDs are compared octet by octet (RFC 7519 §4.1.2: case-sensitive)", subject)
		}
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
	})

	t.Run("takes_no_two_nobodies_for_one", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		answer := h.get("0", may(""))
		assert.Zero(t, h.calls, "GET /orders/0, whose owner is \"\", by somebody whose subject is \"\": nothing on both sides does not make it theirs. The answer was %d", answer.Code)
		for _, subject := range []string{"", "ada"} {
			require.Equal(t, http.StatusNotFound, h.get("0", may(subject)).Code, "the status for GET /orders/0, whose owner is \"\", by somebody whose subject is %q: it is not theirs, which is told like everything that is not", subject)
		}
	})

	t.Run("lets_the_kitchen_see_all", func(t *testing.T) {
		h := owned(t, authorize.Config{All: "orders:kitchen"})
		for _, id := range []string{"17", "18", "0"} {
			answer := h.get(id, may("chef", "orders:kitchen"))
			require.Equal(t, http.StatusOK, answer.Code, "the status for GET /orders/%s by chef, who holds orders:kitchen, which is All", id)
		}
		assert.Equal(t, http.StatusNotFound, h.get("18", may("ada", "orders:read")).Code, "the status for GET /orders/18 by ada, who does not hold All, and it is bob's")
	})

	t.Run("looks_nothing_up_for_the_kitchen", func(t *testing.T) {
		h := owned(t, authorize.Config{All: "orders:kitchen"})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		require.Equal(t, []string{"17"}, h.asked, "the IDs that Of was asked for, for GET /orders/17 by ada, who does not hold All")
		for _, id := range []string{"17", "99", "500"} {
			answer := h.get(id, may("chef", "orders:kitchen"))
			require.Equal(t, http.StatusOK, answer.Code, "the status for GET /orders/%s by chef, who holds orders:kitchen, which is All: whose it is makes no difference to him, so it is not asked. What is not there is told by the handler behind", id)
			require.Empty(t, h.asked, "the IDs that Of was asked for, for GET /orders/%s by chef, who holds All: he may, whatever it says. A look-up less is one that cannot fail", id)
		}
	})

	t.Run("lets_nobody_see_all_where_All_is_empty", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada", ""), "GET /orders/17 by ada, whose it is")
		assert.Equal(t, http.StatusNotFound, h.get("18", may("ada", "")).Code, "the status for GET /orders/18 by ada, and it is bob's. All is empty, and so is one of her scopes: that opens nothing")
	})

	t.Run("answers_503_where_it_cannot_tell", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		answer := h.get("500", may("ada"))
		assert.Equal(t, http.StatusServiceUnavailable, answer.Code, "the status for GET /orders/500 by ada, and Of has failed: whose it is, and whether it is there, is not known now. 404 would say that her order is gone")
		isProblem(t, answer, "GET /orders/500, where Of has failed")
	})

	t.Run("lets_nobody_in_where_it_cannot_tell", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		_ = h.get("500", may("ada"))
		assert.Zero(t, h.calls, "GET /orders/500 by ada, Of has returned \"ada\" and an error: the handler behind was called. A result that comes with an error is none")
	})

	t.Run("keeps_the_error_inside", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		answer := h.get("500", may("ada"))
		require.NotEqual(t, http.StatusOK, answer.Code, "the status for GET /orders/500, where Of has failed")
		for _, word := range []string{"dial", "10.0.0.7", "5432", "orders_rw"} {
			assert.NotContains(t, answer.Body.String(), word, "the answer for GET /orders/500, where Of has failed with %q: nothing of it may get out", errDatabase)
		}
		require.Len(t, h.errs, 1, "the errors in c.Errors, where Of has failed: note it by c.Error, or those who run this cannot learn why there are 503s")
		assert.ErrorIs(t, h.errs[0], errDatabase, "the error in c.Errors")
		_ = h.get("99", may("ada"))
		assert.Empty(t, h.errs, "the errors in c.Errors, for GET /orders/99 by ada. Somebody has asked for what is not there: that is no fault of ours, and whoever reads our faults has enough to read")
	})

	t.Run("goes_by_the_parameter_it_is_told", func(t *testing.T) {
		h := owned(t, authorize.Config{Param: "order"})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is, where the route is /orders/:order and Param is \"order\"")
		assert.Equal(t, []string{"17"}, h.asked, "the IDs that Of was asked for")
	})

	t.Run("passes_on_the_request's_context", func(t *testing.T) {
		h := owned(t, authorize.Config{})
		h.passes(t, may("ada"), "GET /orders/17 by ada, whose it is")
		require.NotNil(t, h.ctx, "Of was not asked")
		assert.Equal(t, "here", h.ctx.Value(key{}), "a value of the request's context, in the context that Of got: without it, the look-up goes on when the client has left and when the time is up")
	})
}

// A Config that is wrong is refused without a learner's doing.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("a_scope_that_is_none", func(t *testing.T) {
		for _, scope := range []string{"", "orders write", `orders"`, "orders\n", `a\b`, "bestellt✓"} {
			assert.Panics(t, func() { authorize.Scope(scope) }, "%q", scope)
		}
		assert.NotPanics(t, func() { authorize.Scope("orders:write-all") })
	})

	t.Run("all_faults_at_once", func(t *testing.T) {
		handler, err := authorize.Owner(authorize.Config{All: "read all"})
		assert.ErrorContains(t, err, "Of is nil")
		assert.ErrorContains(t, err, `"read all"`)
		assert.Nil(t, handler)
	})
}

func BenchmarkAuthorize(b *testing.B) {
	for name, h := range map[string]*house{"scope": scoped(b, "orders:write"), "owner": owned(b, authorize.Config{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			h.who = may("ada", "orders:write")
			r, w := httptest.NewRequest("GET", h.path+"17", nil), httptest.NewRecorder()
			for b.Loop() {
				h.engine.ServeHTTP(w, r)
			}
		})
	}
}

// A house has one route, somebody who asks for it, and notes what came of it.
type house struct {
	t      testing.TB
	engine *gin.Engine
	path   string
	who    *request.Principal

	calls int             // of the handler behind, by the last request
	asked []string        // of Of, by the last request
	ctx   context.Context // that Of got
	errs  []error         // in c.Errors, after the last request
}

type key struct{}

func newHouse(t testing.TB, method, path, route string, bouncer gin.HandlerFunc) *house {
	gin.SetMode(gin.TestMode)
	h := &house{t: t, engine: gin.New(), path: path}
	h.engine.Use(func(c *gin.Context) { // as authenticate does
		if h.who != nil {
			request.Note(c, request.WithPrincipal(c.Request.Context(), h.who))
		}
		c.Next()
		for _, err := range c.Errors {
			h.errs = append(h.errs, err.Err)
		}
	})
	h.engine.Handle(method, route, bouncer, func(c *gin.Context) {
		h.calls++
		c.String(http.StatusOK, "soup")
	})
	return h
}

func scoped(t testing.TB, scope string) *house {
	return newHouse(t, "POST", "/orders", "/orders", authorize.Scope(scope))
}

// errDatabase is what a look-up may fail with.
var errDatabase = errors.New("dial tcp 10.0.0.7:5432: connect: connection refused (user orders_rw)")

// owned has order 17 of ada, 18 of bob, 0 of nobody, 98 that was ada's and is gone,
// and 500 that cannot be looked up.
func owned(t testing.TB, c authorize.Config) *house {
	var h *house
	c.Of = func(ctx context.Context, id string) (string, error) {
		h.asked, h.ctx = append(h.asked, id), ctx
		switch id {
		case "17":
			return "ada", nil
		case "18":
			return "bob", nil
		case "0":
			return "", nil
		case "98":
			return "ada", fmt.Errorf("orders: %q was deleted: %w", id, authorize.ErrNotFound)
		case "500":
			return "ada", fmt.Errorf("orders: %w", errDatabase)
		}
		return "", fmt.Errorf("orders: %q: %w", id, authorize.ErrNotFound)
	}
	bouncer, err := authorize.Owner(c)
	require.NoError(t, err)
	route := "/orders/:id"
	if c.Param != "" {
		route = "/orders/:" + c.Param
	}
	h = newHouse(t, "GET", "/orders/", route, bouncer)
	return h
}

func (h *house) do(method, path string, who *request.Principal) *httptest.ResponseRecorder {
	h.who, h.calls, h.asked, h.ctx, h.errs = who, 0, nil, nil, nil
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r = r.WithContext(context.WithValue(r.Context(), key{}, "here"))
	require.NotPanics(h.t, func() { h.engine.ServeHTTP(w, r) }, "%s %s by %s", method, path, name(who))
	return w
}

func (h *house) post(who *request.Principal) *httptest.ResponseRecorder {
	return h.do("POST", h.path, who)
}

func (h *house) get(id string, who *request.Principal) *httptest.ResponseRecorder {
	return h.do("GET", h.path+id, who)
}

// passes sends a request that may pass: to order 17, where there are orders.
func (h *house) passes(t *testing.T, who *request.Principal, is string) {
	t.Helper()
	send := h.post
	if h.path != "/orders" {
		send = func(who *request.Principal) *httptest.ResponseRecorder { return h.get("17", who) }
	}
	answer := send(who)
	require.Equal(t, http.StatusOK, answer.Code, "the status for %s. The answer was %s", is, answer.Body)
	require.Equal(t, 1, h.calls, "calls of the handler behind for %s", is)
}

func isProblem(t *testing.T, answer *httptest.ResponseRecorder, is string) {
	t.Helper()
	require.Equal(t, problem.ContentType, answer.Result().Header.Get("Content-Type"), "the Content-Type of the answer to %s: a refusal is a problem document (RFC 9457)", is)
	var got problem.Details
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got), "the answer to %s: %q", is, answer.Body)
	assert.Equal(t, answer.Code, got.Status, "the member status in the answer to %s: %s", is, answer.Body)
	assert.NotEmpty(t, got.Detail, "the member detail in the answer to %s says what is wrong: %s", is, answer.Body)
}

func may(subject string, scopes ...string) *request.Principal {
	return &request.Principal{Subject: subject, Scopes: scopes}
}

func name(who *request.Principal) string {
	if who == nil {
		return "nobody"
	}
	return fmt.Sprintf("%q, who holds %q", who.Subject, who.Scopes)
}
