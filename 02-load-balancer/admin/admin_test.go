package admin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/admin"
	"clicktocode.example/02-load-balancer/balancer"
)

func TestNew(t *testing.T) {
	a, err := balancer.NewBackend("a", "127.0.0.1:9001", 1)
	require.NoError(t, err)
	pool, err := balancer.NewPool(a)
	require.NoError(t, err)
	h := admin.New(pool)
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}

	t.Run("lists_the_backends", func(t *testing.T) {
		_, text := ask("GET", "/backends")
		assert.Regexp(t, `^a +127\.0\.0\.1:9001 +up +0 active\n$`, text)
	})
	t.Run("drains_and_takes_back", func(t *testing.T) {
		status, text := ask("POST", "/backends/a/drain")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, text, "a is drained")
		assert.False(t, a.Available())
		_, text = ask("POST", "/backends/a/undrain")
		assert.Contains(t, text, "a is up")
		assert.True(t, a.Available())
	})
	t.Run("names_what_is_not_there", func(t *testing.T) {
		status, text := ask("POST", "/backends/z/drain")
		assert.Equal(t, http.StatusNotFound, status)
		assert.Contains(t, text, `there is no backend "z"`)
		status, _ = ask("GET", "/backends/a/drain")
		assert.Equal(t, http.StatusMethodNotAllowed, status, "looking changes nothing")
	})
}
