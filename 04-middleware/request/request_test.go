package request_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"clicktocode.example/04-middleware/request"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestContext(t *testing.T) {
	t.Run("knows_what_was_noted", func(t *testing.T) {
		ada := &request.Principal{Subject: "ada"}
		ctx := request.WithPrincipal(request.WithID(t.Context(), "01K30T8Z"), ada)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		assert.Equal(t, "01K30T8Z", request.ID(ctx))
		assert.Same(t, ada, request.From(ctx))
	})

	t.Run("knows_nothing_where_nothing_was_noted", func(t *testing.T) {
		assert.Empty(t, request.ID(t.Context()))
		assert.Nil(t, request.From(t.Context()))
	})

	t.Run("tells_what_was_noted_last", func(t *testing.T) {
		ctx := request.WithPrincipal(t.Context(), &request.Principal{Subject: "ada"})
		assert.Nil(t, request.From(request.WithPrincipal(ctx, nil)))
	})
}

func TestMay(t *testing.T) {
	for _, row := range []struct {
		name   string
		who    *request.Principal
		scope  string
		may    bool
		reason string
	}{
		{"a_scope_that_was_given", &request.Principal{Scopes: []string{"menu:read", "orders:write"}}, "orders:write", true, ""},
		{"another_scope", &request.Principal{Scopes: []string{"orders:write"}}, "orders:read", false, ""},
		{"the_beginning_of_a_scope", &request.Principal{Scopes: []string{"orders:write"}}, "orders", false, "scopes are compared whole"},
		{"another_spelling", &request.Principal{Scopes: []string{"orders:write"}}, "Orders:Write", false, "scopes are case-sensitive: RFC 6749 §3.3"},
		{"no_scopes", &request.Principal{Subject: "ada"}, "orders:write", false, ""},
		{"nobody", nil, "orders:write", false, ""},
		{"nobody_for_nothing", nil, "", false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.may, row.who.May(row.scope), row.reason)
		})
	}
}

func TestNote(t *testing.T) {
	engine := gin.New()
	var behind, before string
	engine.GET("/menu", func(c *gin.Context) {
		request.Note(c, request.WithID(c.Request.Context(), "01K30T8Z"))
	}, func(c *gin.Context) {
		behind = request.ID(c.Request.Context())
	})
	req := httptest.NewRequest(http.MethodGet, "/menu", nil)
	engine.ServeHTTP(httptest.NewRecorder(), req)
	before = request.ID(req.Context())
	assert.Equal(t, "01K30T8Z", behind, "the handlers behind know the note")
	assert.Empty(t, before, "and the request as net/http made it is not changed")
}
