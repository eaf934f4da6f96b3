package waterfall_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/07-response-observability/telemetry"
	"clicktocode.example/07-response-observability/waterfall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// span is one from begin to end, in milliseconds after noon.
func span(role, name, id, parent string, begin, end int, attributes ...string) telemetry.Span {
	s := telemetry.Span{
		Role: role, Name: name, ID: id, Parent: parent, Attributes: map[string]string{},
		Start: noon.Add(time.Duration(begin) * time.Millisecond), End: noon.Add(time.Duration(end) * time.Millisecond),
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		s.Attributes[attributes[i]] = attributes[i+1]
	}
	return s
}

// shown is phases, a line each: name, start and length in milliseconds, detail.
func shown(phases []stage.Phase) (lines []string) {
	for _, p := range phases {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %d+%d %s", p.Name, p.StartUS/1000, p.US/1000, p.Detail), " "))
	}
	return lines
}

var click = stage.Click{Phases: []stage.Phase{
	{Name: "DNS", StartUS: 0, US: 1000, Detail: "shop.test is 127.0.0.1"},
	{Name: "TCP", StartUS: 1000, US: 1000}, {Name: "TLS", StartUS: 2000, US: 3000},
	{Name: "wait", StartUS: 5000, US: 20000}, {Name: "body", StartUS: 25000, US: 1000, Detail: "300 bytes"},
}}

func TestPhases(t *testing.T) {
	t.Run("puts_spans_below_their_parents", func(t *testing.T) {
		got := waterfall.Phases(click, []telemetry.Span{
			span("a", "INSERT orders", "6", "4", 15, 16),
			span("a", "get menu", "5", "4", 10, 11, "cache.result", "hit", "db.system.name", "memcached"),
			span("edge1", "POST /orders", "2", "1", 6, 24, "cache", "Far; hit, edge1; fwd=method", "http.response.status_code", "201"),
			span("edge1", "POST replica", "3", "2", 7, 23),
			span("a", "POST /orders", "4", "3", 8, 22, "http.response.status_code", "201"),
		}, noon)
		assert.Equal(t, []string{
			"DNS 0+1 shop.test is 127.0.0.1", "TCP 1+1", "TLS 2+3", "wait 5+20",
			"  edge1 POST /orders (PASS) 6+18 status 201",
			"    POST replica 7+16",
			"      a POST /orders 8+14 status 201",
			"        get menu (hit) 10+1 memcached",
			"        INSERT orders 15+1",
			"body 25+1 the way back, 300 bytes",
		}, shown(got))
	})

	t.Run("says_what_the_edges_cache_did", func(t *testing.T) {
		for status, want := range map[string]string{
			"edge1; hit; ttl=29": "HIT", "edge1; fwd=uri-miss; stored": "MISS", "edge1; fwd=vary-miss": "MISS",
			"edge1; fwd=stale; fwd-status=304": "STALE", "edge1; fwd=bypass": "PASS", "cdn; hit, edge1; fwd=miss": "MISS",
		} {
			got := waterfall.Phases(click, []telemetry.Span{span("edge1", "GET /menu", "2", "1", 6, 7, "cache", status)}, noon)
			assert.Equal(t, "  edge1 GET /menu ("+want+")", got[4].Name, "%q", status)
		}
	})

	t.Run("tells_faults", func(t *testing.T) {
		s := span("a", "COMMIT", "2", "1", 6, 7, "http.response.status_code", "500")
		s.Error = "SQLSTATE 40001"
		assert.Equal(t, "SQLSTATE 40001", waterfall.Phases(click, []telemetry.Span{s}, noon)[4].Detail)
		s.Attributes["db.system.name"] = "postgresql"
		assert.Equal(t, "PostgreSQL: SQLSTATE 40001", waterfall.Phases(click, []telemetry.Span{s}, noon)[4].Detail)
	})

	t.Run("does_without_those_that_are_missing", func(t *testing.T) {
		assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "body"}, names(waterfall.Phases(click, nil, noon)))
		got := waterfall.Phases(click, []telemetry.Span{span("a", "POST /orders", "4", "3", 8, 22), span("a", "BEGIN", "5", "4", 9, 10)}, noon)
		assert.Equal(t, []string{"wait", "  a POST /orders", "    BEGIN", "body"}, names(got)[3:])
	})

	t.Run("sets_clocks_right", func(t *testing.T) {
		for _, off := range []int{-3_600_000, 3_600_000} {
			got := waterfall.Phases(click, []telemetry.Span{
				span("edge1", "POST /orders", "2", "1", 6, 24),
				span("a", "POST /orders", "4", "2", off+8, off+22), span("a", "BEGIN", "5", "4", off+9, off+10),
			}, noon)
			assert.Equal(t, []string{"    a POST /orders 8+14", "      BEGIN 9+1"}, shown(got)[5:7], "a clock that is %d ms off: in the middle of the edge's, with what is below", off)
		}
	})

	t.Run("ends_whatever_the_spans_say", func(t *testing.T) {
		circle := []telemetry.Span{span("a", "1", "1", "2", 6, 7), span("a", "2", "2", "1", 6, 7), span("a", "3", "3", "3", 6, 7), span("a", "4", "4", "", 6, 3)}
		assert.Equal(t, []string{"  a 3", "  a 4"}, names(waterfall.Phases(click, circle, noon))[4:6])
		many := make([]telemetry.Span, 10_000)
		for i := range many {
			many[i] = span("a", "SELECT", fmt.Sprint(i), "", 6, 7)
		}
		assert.Len(t, waterfall.Phases(click, many, noon), 205, "a bound on what is shown")
	})
}

func names(phases []stage.Phase) (names []string) {
	for _, p := range phases {
		names = append(names, strings.TrimRight(p.Name, " "))
	}
	return names
}

func TestCollect(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Role: "edge1", Keep: 8})
	require.NoError(t, err)
	defer tel.Shutdown(context.Background())
	_, s := tel.Tracer("test").Start(t.Context(), "GET /menu")
	s.End()
	addr := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := ln.Addr().String()
	require.NoError(t, ln.Close())
	asked := ""
	good := addr(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = r.URL.Path; tel.ServeHTTP(w, r) }))
	hangs := addr(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	errs := addr(http.NotFoundHandler())

	began := time.Now()
	spans, err := waterfall.Collect(t.Context(), s.SpanContext().TraceID(), []string{gone, hangs, good, errs})
	assert.Less(t, time.Since(began), 2*time.Second, "one deadline for all")
	require.Len(t, spans, 1, "the others do not matter to the one that answers")
	assert.Equal(t, "GET /menu", spans[0].Name)
	assert.Equal(t, "/spans", asked)
	for _, addr := range []string{gone, hangs, errs} {
		assert.ErrorContains(t, err, addr)
	}
	assert.NotContains(t, err.Error(), good)

	spans, err = waterfall.Collect(t.Context(), trace.TraceID{1}, []string{good})
	assert.NoError(t, err)
	assert.Empty(t, spans)
}
