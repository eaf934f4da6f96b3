package secure_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/secure"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestNew(t *testing.T) {
	ask := func(t *testing.T, c secure.Config, handle gin.HandlerFunc) http.Header {
		t.Helper()
		handler, err := secure.New(c)
		require.NoError(t, err)
		engine := gin.New()
		engine.Use(handler)
		engine.GET("/", handle)
		rec := httptest.NewRecorder()
		engine.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		return rec.Result().Header
	}
	refuse := func(c *gin.Context) { problem.Abort(c, problem.Details{Status: http.StatusForbidden}) }

	t.Run("says_what_a_browser_must_not_do", func(t *testing.T) {
		h := ask(t, secure.Config{}, refuse)
		for name, want := range map[string]string{
			"Strict-Transport-Security":    "max-age=31536000",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			assert.Equal(t, []string{want}, h[name], name)
		}
	})

	t.Run("a_handler_knows_better", func(t *testing.T) {
		handle := func(c *gin.Context) {
			c.Header("Referrer-Policy", "same-origin")
			c.Writer.Header().Add("Content-Security-Policy", "sandbox")
		}
		for range 2 { // what one request changes is not there in the next
			h := ask(t, secure.Config{}, handle)
			assert.Equal(t, []string{"same-origin"}, h["Referrer-Policy"])
			assert.Equal(t, []string{"default-src 'none'; frame-ancestors 'none'", "sandbox"}, h["Content-Security-Policy"])
		}
		assert.Equal(t, []string{"no-referrer"}, ask(t, secure.Config{}, refuse)["Referrer-Policy"])
	})

	t.Run("hsts_as_told", func(t *testing.T) {
		assert.Equal(t, []string{"max-age=60"}, ask(t, secure.Config{HSTS: time.Minute}, refuse)["Strict-Transport-Security"])
		assert.Empty(t, ask(t, secure.Config{HSTS: -1 * time.Second}, refuse)["Strict-Transport-Security"])
		_, err := secure.New(secure.Config{HSTS: time.Millisecond})
		assert.ErrorContains(t, err, "1ms")
	})
}
