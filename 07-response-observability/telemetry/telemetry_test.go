package telemetry_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"clicktocode.example/07-response-observability/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c telemetry.Config) *telemetry.Telemetry {
	t.Helper()
	c.Role = "edge1"
	tel, err := telemetry.New(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		assert.NoError(t, tel.Shutdown(ctx))
	})
	return tel
}

func TestTelemetry(t *testing.T) {
	t.Run("keeps the spans of a trace, with what was said of them", func(t *testing.T) {
		tel := open(t, telemetry.Config{Keep: 8})
		ctx, parent := tel.Tracer("edge").Start(t.Context(), "GET /menu")
		_, child := tel.Tracer("edge").Start(ctx, "cache")
		child.SetAttributes(attribute.Bool("hit", false))
		child.SetStatus(codes.Error, "broken")
		child.End()
		_, other := tel.Tracer("edge").Start(t.Context(), "GET /")
		other.End()
		parent.End()

		spans := tel.Recent(parent.SpanContext().TraceID())
		require.Len(t, spans, 2, "the other trace's span is none of ours")
		assert.Equal(t, "cache", spans[0].Name, "it ended first")
		assert.Equal(t, "edge1", spans[0].Role)
		assert.Equal(t, spans[1].ID, spans[0].Parent)
		assert.Equal(t, map[string]string{"hit": "false"}, spans[0].Attributes)
		assert.Equal(t, "broken", spans[0].Error)
		assert.Empty(t, spans[1].Parent)
		assert.False(t, spans[1].End.Before(spans[0].End))
	})
	t.Run("keeps no more than it was told to", func(t *testing.T) {
		tel := open(t, telemetry.Config{Keep: 3})
		ctx, parent := tel.Tracer("edge").Start(t.Context(), "GET /menu")
		for _, name := range []string{"1", "2", "3", "4"} {
			_, s := tel.Tracer("edge").Start(ctx, name)
			s.End()
		}
		spans := tel.Recent(parent.SpanContext().TraceID())
		require.Len(t, spans, 3)
		assert.Equal(t, "2", spans[0].Name)
		parent.End()
	})
	t.Run("answers with a trace's spans as JSON", func(t *testing.T) {
		tel := open(t, telemetry.Config{Keep: 3})
		_, s := tel.Tracer("edge").Start(t.Context(), "GET /menu")
		s.End()
		answer := httptest.NewRecorder()
		tel.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/spans?trace="+s.SpanContext().TraceID().String(), nil))
		var spans []telemetry.Span
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &spans))
		require.Len(t, spans, 1)
		assert.Equal(t, "GET /menu", spans[0].Name)

		answer = httptest.NewRecorder()
		tel.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/spans?trace=17", nil))
		assert.Equal(t, http.StatusBadRequest, answer.Code)
		answer = httptest.NewRecorder()
		tel.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/spans?trace=0123456789abcdef0123456789abcdef", nil))
		assert.JSONEq(t, "[]", answer.Body.String(), "a trace that nobody knows has no spans")
	})
	t.Run("records nothing where nothing is wanted", func(t *testing.T) {
		tel := open(t, telemetry.Config{})
		_, s := tel.Tracer("edge").Start(t.Context(), "GET /menu")
		assert.False(t, s.IsRecording())
		s.End()
		assert.Empty(t, tel.Recent(s.SpanContext().TraceID()))
	})
	t.Run("names what is wrong with its Config", func(t *testing.T) {
		_, err := telemetry.New(t.Context(), telemetry.Config{Keep: 1})
		assert.ErrorContains(t, err, `role ""`)
	})
}

// receiver is an OTLP collector, as small as one can be.
type receiver struct {
	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	request := &collector.ExportTraceServiceRequest{}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, request) != nil {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestExport(t *testing.T) {
	t.Run("sends spans to the collector that the environment names", func(t *testing.T) {
		got := &receiver{}
		server := httptest.NewServer(got)
		defer server.Close()
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
		require.True(t, telemetry.Wanted())
		tel, err := telemetry.New(t.Context(), telemetry.Config{Role: "a", Export: true})
		require.NoError(t, err)
		_, s := tel.Tracer("app").Start(t.Context(), "POST /orders")
		s.End()
		require.NoError(t, tel.Shutdown(t.Context()), "it sends what is left")

		got.mu.Lock()
		defer got.mu.Unlock()
		require.Len(t, got.requests, 1)
		resource := got.requests[0].ResourceSpans[0]
		span := resource.ScopeSpans[0].Spans[0]
		assert.Equal(t, "POST /orders", span.Name)
		id := s.SpanContext().TraceID()
		assert.Equal(t, id[:], span.TraceId)
		names := map[string]string{}
		for _, a := range resource.Resource.Attributes {
			names[a.Key] = a.Value.GetStringValue()
		}
		assert.Equal(t, "a", names["service.name"])
	})
	t.Run("a collector that is away costs no request, and bounds the end", func(t *testing.T) {
		hangs := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hangs:
			case <-r.Context().Done():
			}
		}))
		defer server.Close()
		defer close(hangs)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
		tel, err := telemetry.New(t.Context(), telemetry.Config{Role: "a", Export: true, Keep: 4})
		require.NoError(t, err)
		_, s := tel.Tracer("app").Start(t.Context(), "POST /orders")
		s.End()
		assert.Len(t, tel.Recent(s.SpanContext().TraceID()), 1)
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		assert.ErrorIs(t, tel.Shutdown(ctx), context.DeadlineExceeded)
	})
	t.Run("nobody named, nothing wanted", func(t *testing.T) {
		assert.False(t, telemetry.Wanted())
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
		t.Setenv("OTEL_SDK_DISABLED", "true")
		assert.False(t, telemetry.Wanted())
	})
}
