package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/loadbalancer"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/03-reverse-proxy/kitchen"
)

// start runs an edge over TLS before two kitchens, and returns its server.
func start(t *testing.T) *httptest.Server {
	var pairs []string
	for _, name := range []string{"a", "b"} {
		replica := httptest.NewServer(kitchen.New(name))
		t.Cleanup(replica.Close)
		pairs = append(pairs, name+"="+replica.Listener.Addr().String())
	}
	backends, err := loadbalancer.Backends(pairs...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	serving, ended := make(chan *httptest.Server, 1), make(chan error, 1)
	go func() {
		ended <- edge.Run(ctx, edge.Config{
			Name: "edge1", Hosts: []string{"shop.test"}, API: []string{"/menu", "/orders", "/session", "/echo"},
			Backends: backends, HealthPath: "/healthz", Reveal: true, Log: slog.New(slog.DiscardHandler),
		}, func(h http.Handler) error {
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = true
			server.StartTLS()
			serving <- server
			<-ctx.Done()
			server.Close()
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			assert.NoError(t, err)
		case <-time.After(10 * time.Second):
			assert.Fail(t, "the edge does not end")
		}
	})
	select {
	case server := <-serving:
		return server
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the edge does not serve")
		return nil
	}
}

func do(t *testing.T, s *httptest.Server, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Host = "shop.test"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

func TestEdge(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("answers_the_menu_from_its_cache", func(t *testing.T) {
		s := start(t)
		first, menu := do(t, s, "GET", "/menu", "")
		assert.Contains(t, first.Header.Get("Cache-Status"), "edge1; fwd=uri-miss; stored")
		assert.Contains(t, strings.Join(first.Header.Values("Server-Timing"), ", "), "upstream", "who asked for it is told which kitchen gave it")
		second, again := do(t, s, "GET", "/menu", "")
		assert.Contains(t, second.Header.Get("Cache-Status"), "edge1; hit")
		assert.Equal(t, menu, again)
		timing := strings.Join(second.Header.Values("Server-Timing"), ", ")
		assert.Contains(t, timing, `cache;desc="hit"`)
		assert.NotContains(t, timing, "upstream", "nobody upstream was asked for this one")
		assert.Empty(t, second.Header.Get("X-Backend"), "and no kitchen gave it")
	})
	t.Run("sends_orders_to_a_kitchen_each_time", func(t *testing.T) {
		s := start(t)
		order := `{"lines": [{"dish": "ramen", "quantity": 2}]}`
		for range 2 {
			resp, placed := do(t, s, "POST", "/orders", order, "Content-Type", "application/json", "Idempotency-Key", "k1")
			assert.Equal(t, http.StatusCreated, resp.StatusCode)
			assert.Contains(t, placed, `"amount": 2500`)
			assert.NotContains(t, resp.Header.Get("Cache-Status"), "hit")
		}
		resp, problem := do(t, s, "POST", "/orders", `{"lines": [{"dish": "stone", "quantity": 1}]}`)
		assert.Equal(t, http.StatusUnprocessableEntity, resp.StatusCode)
		assert.Contains(t, problem, "stone")
	})
	t.Run("serves_the_page_itself", func(t *testing.T) {
		s := start(t)
		resp, page := do(t, s, "GET", "/", "")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Contains(t, page, "Tonight's menu")
		assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
		assert.Empty(t, resp.Header.Get("X-Backend"))
	})
	t.Run("believes_nobody_who_the_client_is", func(t *testing.T) {
		s := start(t)
		_, echo := do(t, s, "GET", "/echo", "", "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6")
		assert.NotContains(t, echo, "6.6.6.6")
		assert.Contains(t, echo, `"X-Forwarded-For"`)
	})
	t.Run("knows_no_other_host", func(t *testing.T) {
		s := start(t)
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/menu", nil)
		require.NoError(t, err)
		r.Host = "elsewhere.test"
		resp, err := s.Client().Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)
	})
	t.Run("says_what_it_lacks", func(t *testing.T) {
		never := func(http.Handler) error { t.Error("it served"); return nil }
		assert.ErrorContains(t, edge.Run(t.Context(), edge.Config{}, never), "Name, Hosts and Backends are required")
	})
}
