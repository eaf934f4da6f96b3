// Package telemetry is where a role's spans go. A span is what one part did for
// one request, and when; the spans of one trace are the whole dinner, from the
// door to the receipt.
//
// Whoever runs the service names a collector by the standard variables, and each
// role exports to it over OTLP/HTTP. Beside that, a role can keep the last spans in
// memory, where `click` reads them: so there is a waterfall on a laptop that has
// no collector. Where neither is wanted, nothing is recorded at all.
//
// Source: OpenTelemetry's specification, Trace SDK and OTLP Exporter.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config says what becomes of spans.
type Config struct {
	// Role is service.name in what is exported, and Span.Role: a word, as "edge1".
	Role string
	// Export sends spans to the collector that OTEL_EXPORTER_OTLP_ENDPOINT or
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names, in the background. See Wanted. The
	// exporter's and the sampler's other standard variables count, too.
	Export bool
	// Keep is how many spans Recent holds. 0 keeps none.
	Keep int
}

// Wanted says whether the environment names a collector.
func Wanted() bool {
	return os.Getenv("OTEL_SDK_DISABLED") != "true" &&
		(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "")
}

// Telemetry makes a role's spans. Make one with New, and end it with Shutdown. It
// may be used by many goroutines at once.
type Telemetry struct {
	provider trace.TracerProvider
	shutdown func(context.Context) error
	recent   *ring // nil keeps none
}

// New returns the Telemetry of one role. With neither Export nor Keep its tracer
// does nothing, and costs nothing. err says which variable is at fault.
func New(ctx context.Context, c Config) (*Telemetry, error) {
	t := &Telemetry{provider: noop.NewTracerProvider(), shutdown: func(context.Context) error { return nil }}
	if c.Role == "" || c.Keep < 0 {
		return nil, fmt.Errorf("telemetry: role %q, keep %d: a role has a name, and keeps 0 spans or more", c.Role, c.Keep)
	}
	if !c.Export && c.Keep == 0 {
		return t, nil
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", c.Role)), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	options := []sdk.TracerProviderOption{sdk.WithResource(about)}
	if c.Keep > 0 {
		t.recent = &ring{role: c.Role, spans: make([]sdk.ReadOnlySpan, c.Keep)}
		options = append(options, sdk.WithSpanProcessor(t.recent))
	}
	if c.Export {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
		}
		options = append(options, sdk.WithBatcher(exporter)) // a queue that is bounded: a collector that is down costs spans, and no request
	}
	provider := sdk.NewTracerProvider(options...)
	t.provider, t.shutdown = provider, provider.Shutdown
	return t, nil
}

// Tracer makes the spans of the part of that name.
func (t *Telemetry) Tracer(name string) trace.Tracer { return t.provider.Tracer(name) }

// Provider is for libraries that make spans of their own.
func (t *Telemetry) Provider() trace.TracerProvider { return t.provider }

// Shutdown exports what is left, as long as ctx lasts, and ends what New started.
func (t *Telemetry) Shutdown(ctx context.Context) error { return t.shutdown(ctx) }

// Span is one that has ended.
type Span struct {
	Role       string            `json:"role"`
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Parent     string            `json:"parent,omitempty"` // empty: it is the first of its trace
	Start      time.Time         `json:"start"`
	End        time.Time         `json:"end"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Error      string            `json:"error,omitempty"`
}

// Recent returns those kept spans of the trace that have ended, in the order in
// which they did.
func (t *Telemetry) Recent(id trace.TraceID) []Span {
	if t.recent == nil {
		return nil
	}
	return t.recent.of(id)
}

// ServeHTTP answers GET /spans?trace=ID with Recent's spans as a JSON list. It is
// for the operator's listener: attributes tell what happened inside.
func (t *Telemetry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := trace.TraceIDFromHex(r.URL.Query().Get("trace"))
	if err != nil {
		http.Error(w, "say which: /spans?trace= and the trace's ID, 32 hexadecimal digits in lower case", http.StatusBadRequest)
		return
	}
	spans := t.Recent(id)
	if spans == nil {
		spans = []Span{} // not null
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(spans) // who has left needs no answer
}

// ring keeps the last spans that ended. It is a span processor and no exporter: a
// span is there at once, and not after a batch.
type ring struct {
	role  string
	mu    sync.Mutex // guards what follows
	spans []sdk.ReadOnlySpan
	next  int // where the next one goes, and the oldest is
}

func (r *ring) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (r *ring) Shutdown(context.Context) error             { return nil }
func (r *ring) ForceFlush(context.Context) error           { return nil }

func (r *ring) OnEnd(s sdk.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans[r.next] = s
	r.next = (r.next + 1) % len(r.spans)
}

func (r *ring) of(id trace.TraceID) (spans []Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.spans {
		if s := r.spans[(r.next+i)%len(r.spans)]; s != nil && s.SpanContext().TraceID() == id {
			spans = append(spans, r.span(s))
		}
	}
	return spans
}

func (r *ring) span(s sdk.ReadOnlySpan) Span {
	out := Span{Role: r.role, Name: s.Name(), ID: s.SpanContext().SpanID().String(), Start: s.StartTime(), End: s.EndTime()}
	if s.Parent().HasSpanID() {
		out.Parent = s.Parent().SpanID().String()
	}
	if len(s.Attributes()) > 0 {
		out.Attributes = map[string]string{}
	}
	for _, a := range s.Attributes() {
		out.Attributes[string(a.Key)] = a.Value.String()
	}
	if s.Status().Code == codes.Error {
		out.Error = s.Status().Description
		if out.Error == "" {
			out.Error = "failed"
		}
	}
	return out
}
