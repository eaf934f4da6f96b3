package service

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/07-response-observability/instrument"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/solution/redmetrics"
)

// writer is one as net/http has it, whose body goes nowhere.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

// newPart is an edge's, which makes traces or not, as OTEL_SDK_DISABLED says.
func newPart(tb testing.TB, disabled string) *part {
	tb.Setenv("OTEL_SDK_DISABLED", disabled)
	p := &part{Stage: &stage.Stage{Name: "edge1", Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}}, registry: meters.NewRegistry("edge1")}
	require.NoError(tb, p.trace(tb.Context()))
	tb.Cleanup(func() { require.NoError(tb, p.telemetry.Shutdown(context.Background())) })
	return p
}

// serving returns a function that has wrap's handler serve one request, as an edge does
// from its cache.
func serving(tb testing.TB, wrap func(http.Handler) http.Handler) func() {
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Status", "edge1; hit")
		_, _ = io.WriteString(w, "{}")
	}))
	r, err := http.NewRequest(http.MethodGet, "https://shop.test/menu", nil)
	require.NoError(tb, err)
	w := new(writer)
	return func() {
		w.header = make(http.Header, 8)
		h.ServeHTTP(w, r)
	}
}

// watching is serving, by all that watches an edge's requests.
func watching(tb testing.TB, disabled string) func() {
	p := newPart(tb, disabled)
	watch, err := p.watch(p.hops)
	require.NoError(tb, err)
	return serving(tb, func(h http.Handler) http.Handler {
		return watch(redmetrics.Prefixes(cacheStatus(h), "/", "/menu"))
	})
}

// With traces switched off, a request costs what it does in a program that knows none.
func TestTracesThatAreSwitchedOff(t *testing.T) {
	p := newPart(t, "true")
	assert.Nil(t, instrument.SQL(p.tracer), "connections to PostgreSQL are as they are")
	assert.Nil(t, instrument.Cache(p.tracer), "and so are those to memcached")
	assert.Same(t, http.DefaultTransport, instrument.Transport(http.DefaultTransport, p.tracer, "payments"), "and to others")

	red, err := redmetrics.New(redmetrics.Config{Registerer: p.registry})
	require.NoError(t, err)
	none := serving(t, func(h http.Handler) http.Handler { return red.Wrap(p.hops(redmetrics.Prefixes(h, "/", "/menu"))) })
	assert.LessOrEqual(t, testing.AllocsPerRun(500, watching(t, "true")), testing.AllocsPerRun(500, none), "allocations of a request")
}

// BenchmarkWatch is what all that watches an edge's requests takes for one of them.
func BenchmarkWatch(b *testing.B) {
	for _, run := range []struct{ name, disabled string }{{"traced", ""}, {"switched_off", "true"}} {
		b.Run(run.name, func(b *testing.B) {
			serve := watching(b, run.disabled)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}
