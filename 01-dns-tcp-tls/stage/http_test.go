package stage_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

func TestObserve(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		summary string
		status  int
		timing  []string // patterns of the fields
	}{
		"a_status": {
			func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
			"GET /menu → 404", 404, []string{`^shop;dur=\d+\.\d{3}$`},
		},
		"no_status": {
			func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") },
			"GET /menu → 200", 200, []string{`^shop;`},
		},
		"nothing_at_all": {
			func(http.ResponseWriter, *http.Request) {},
			"GET /menu → 200", 200, []string{`^shop;`},
		},
		"a_flush": {
			func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() },
			"GET /menu → 200", 200, []string{`^shop;`},
		},
		"fields_of_its_own_come_first": {
			func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Server-Timing", "app;dur=3") },
			"GET /menu → 200", 200, []string{`^app;dur=3$`, `^shop;`},
		},
		"early_hints_come_before": {
			func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusTeapot)
			},
			"GET /menu → 418", 418, []string{`^shop;`},
		},
		"a_changed_request": {
			func(w http.ResponseWriter, r *http.Request) { r.Method, r.URL.Path = "PUT", "/other" },
			"GET /menu → 200", 200, []string{`^shop;`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			events := make(chan stage.Event, 1)
			s := &stage.Stage{Name: "shop", Emit: func(e stage.Event) { events <- e }}
			server := httptest.NewTLSServer(s.Observe(tt.handler))
			defer server.Close()
			resp, err := server.Client().Get(server.URL + "/menu?secret=1")
			require.NoError(t, err)
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, tt.status, resp.StatusCode)
			got := resp.Header.Values("Server-Timing")
			require.Len(t, got, len(tt.timing), "%q", got)
			for i, pattern := range tt.timing {
				assert.Regexp(t, regexp.MustCompile(pattern), got[i])
			}
			e := <-events
			assert.Equal(t, stage.Request, e.Event)
			assert.Equal(t, "shop", e.Role)
			assert.Equal(t, tt.summary, e.Summary)
			assert.NotEmpty(t, e.Detail["client"])
			delete(e.Detail, "client")
			assert.Equal(t, map[string]string{"proto": "HTTP/1.1", "tls": "TLS 1.3", "alpn": "none", "resumed": "false"}, e.Detail)
		})
	}

	t.Run("an_abort", func(t *testing.T) {
		events := make(chan stage.Event, 1)
		s := &stage.Stage{Name: "shop", Emit: func(e stage.Event) { events <- e }}
		server := httptest.NewServer(s.Observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
		defer server.Close()
		_, err := http.Post(server.URL, "text/plain", nil)
		require.Error(t, err, "the panic goes on to net/http")
		assert.Equal(t, "POST / → aborted", (<-events).Summary)
	})

	t.Run("the_rest_of_a_connection", func(t *testing.T) {
		events := make(chan stage.Event, 1)
		s := &stage.Stage{Name: "shop", Emit: func(e stage.Event) { events <- e }}
		server := httptest.NewServer(s.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nby hand\n")
			_ = conn.Close()
		})))
		defer server.Close()
		req, err := http.NewRequest(http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "chat")
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "by hand\n", line)
		assert.Equal(t, "GET / → 101", (<-events).Summary)
	})
}

func TestUntil(t *testing.T) {
	s := &stage.Stage{Log: slog.New(slog.DiscardHandler)}
	t.Run("shuts_down_and_waits", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stop, served := make(chan struct{}), false
		serve := func() error {
			cancel()
			<-stop
			served = true
			return nil
		}
		shutdown := func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			assert.True(t, ok && time.Until(deadline) < 10*time.Second, "clients have some seconds")
			assert.NoError(t, ctx.Err())
			close(stop)
			return errors.New("cut one of them")
		}
		assert.NoError(t, s.Until(ctx, serve, shutdown), "that a client was cut is no failure")
		assert.True(t, served)
	})
	t.Run("returns_when_serving_fails", func(t *testing.T) {
		broken := errors.New("broken")
		err := s.Until(t.Context(), func() error { return broken }, func(context.Context) error { panic("nothing to shut down") })
		assert.ErrorIs(t, err, broken)
	})
}
