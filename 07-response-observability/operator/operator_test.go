package operator_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/07-response-observability/operator"
	"clicktocode.example/07-response-observability/solution/readiness"
	"clicktocode.example/07-response-observability/solution/redmetrics"
	"clicktocode.example/07-response-observability/solution/tracing"
	"clicktocode.example/07-response-observability/telemetry"
)

// role is a server of guests, and the listener of its operator.
type role struct {
	guests, operator *httptest.Server
	health           *readiness.Health
}

func newRole(t *testing.T) *role {
	t.Helper()
	s := &role{}
	kept, err := telemetry.New(t.Context(), telemetry.Config{Role: "a", Keep: 16})
	require.NoError(t, err)
	t.Cleanup(func() { _ = kept.Shutdown(context.Background()) })
	reg := prometheus.NewRegistry()
	red, err := redmetrics.New(redmetrics.Config{Registerer: reg})
	require.NoError(t, err)
	s.health, err = readiness.New(readiness.Config{Shared: []readiness.Check{{Name: "postgres", Do: func(context.Context) error { return errors.New("refused") }}}})
	require.NoError(t, err)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		redmetrics.SetRoute(r.Context(), "/orders/:id")
		_, _ = io.WriteString(w, "soup")
	})
	s.guests = httptest.NewServer(tracing.Server(red.Wrap(answer), kept.Tracer("a"), func(*http.Request) string { return "GET /orders/:id" }))
	t.Cleanup(s.guests.Close)
	s.operator = httptest.NewServer(operator.New(operator.Config{
		Health: s.health, Gatherer: reg, Spans: kept,
		Routes: map[string]http.Handler{"/backends": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a up") })},
	}))
	t.Cleanup(s.operator.Close)
	return s
}

// ask sends a request with these fields, and returns the answer's status, header and body.
func ask(t *testing.T, method, url string, fields ...string) (int, http.Header, string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		}
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, answer.Header, string(body)
}

func TestNew(t *testing.T) {
	t.Run("says_whether_it_is_live_and_ready", func(t *testing.T) {
		s := newRole(t)
		status, _, body := ask(t, "GET", s.operator.URL+"/livez")
		assert.Equal(t, 200, status)
		assert.Equal(t, "live\n", body)
		status, _, body = ask(t, "GET", s.operator.URL+"/readyz")
		assert.Equal(t, 503, status, body)
		s.health.Started()
		status, _, body = ask(t, "GET", s.operator.URL+"/readyz")
		assert.Equal(t, 200, status)
		assert.Contains(t, body, `"postgres"`)
	})

	t.Run("leads_from_a_number_to_the_spans_of_a_request", func(t *testing.T) {
		s := newRole(t)
		const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
		_, _, body := ask(t, "GET", s.guests.URL+"/orders/17", "traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
		require.Equal(t, "soup", body)

		status, h, body := ask(t, "GET", s.operator.URL+"/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
		require.Equal(t, 200, status)
		assert.Contains(t, h.Get("Content-Type"), "application/openmetrics-text")
		assert.Contains(t, body, `http_requests_total{method="GET",route="/orders/:id",status="2xx"} 1.0`)
		found := regexp.MustCompile(`(?m)^http_request_duration_seconds_bucket\{.*le="[^"]*"\} 1 # \{trace_id="([0-9a-f]{32})"\} [0-9.e-]+ [0-9.e+]+$`).FindStringSubmatch(body)
		require.NotNil(t, found, "an exemplar, behind a bucket of:\n%s", body)
		require.Equal(t, traceID, found[1])

		status, _, body = ask(t, "GET", s.operator.URL+"/spans?trace="+found[1])
		assert.Equal(t, 200, status)
		assert.Contains(t, body, `"GET /orders/:id"`)
	})

	t.Run("speaks_prometheus_older_language_too", func(t *testing.T) {
		s := newRole(t)
		ask(t, "GET", s.guests.URL)
		_, h, body := ask(t, "GET", s.operator.URL+"/metrics")
		assert.Contains(t, h.Get("Content-Type"), "text/plain")
		assert.Contains(t, body, `http_requests_total{method="GET",route="/orders/:id",status="2xx"} 1`)
		assert.NotContains(t, body, "trace_id")
	})

	t.Run("shows_where_the_time_goes", func(t *testing.T) {
		s := newRole(t)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol", "/debug/pprof/trace?seconds=0.01"} {
			status, _, body := ask(t, "GET", s.operator.URL+path)
			assert.Equal(t, 200, status, "%s: %s", path, body)
			assert.NotEmpty(t, body, path)
		}
	})

	t.Run("has_room_for_more", func(t *testing.T) {
		s := newRole(t)
		_, _, body := ask(t, "GET", s.operator.URL+"/backends")
		assert.Equal(t, "a up", body)
	})

	t.Run("has_not_what_it_was_not_given", func(t *testing.T) {
		bare := httptest.NewServer(operator.New(operator.Config{}))
		defer bare.Close()
		for _, path := range []string{"/livez", "/readyz", "/metrics", "/spans", "/"} {
			status, _, _ := ask(t, "GET", bare.URL+path)
			assert.Equal(t, 404, status, path)
		}
		status, _, _ := ask(t, "GET", bare.URL+"/debug/pprof/")
		assert.Equal(t, 200, status)
	})

	t.Run("is_nobodys_from_a_browser", func(t *testing.T) {
		s := newRole(t)
		status, _, _ := ask(t, "GET", s.operator.URL+"/debug/pprof/cmdline", "Host", "rebound.example.com")
		assert.Equal(t, http.StatusMisdirectedRequest, status, "a page's own name that leads here")
		status, _, _ = ask(t, "POST", s.operator.URL+"/backends", "Origin", "https://example.com", "Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, status, "a form of another site")
		for _, host := range []string{"localhost:9300", "[::1]:9300", "127.0.0.1", "a:9300"} {
			status, _, _ = ask(t, "GET", s.operator.URL+"/livez", "Host", host)
			assert.Equal(t, 200, status, host)
		}
	})

	t.Run("logs_a_collector_that_fails_and_shows_the_others", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "fine_total", Help: "Fine."}, func() float64 { return 7 }), broken{})
		var log bytes.Buffer
		server := httptest.NewServer(operator.New(operator.Config{Gatherer: reg, Log: slog.New(slog.NewTextHandler(&log, nil))}))
		defer server.Close()
		status, _, body := ask(t, "GET", server.URL+"/metrics")
		assert.Equal(t, 200, status)
		assert.Contains(t, body, "fine_total 7")
		server.Close()
		assert.Contains(t, log.String(), "the cupboard is locked")
	})
}

// broken is a collector that cannot say what it is asked.
type broken struct{}

var desc = prometheus.NewDesc("broken", "Broken.", nil, nil)

func (broken) Describe(to chan<- *prometheus.Desc) { to <- desc }
func (broken) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(desc, errors.New("the cupboard is locked"))
}
