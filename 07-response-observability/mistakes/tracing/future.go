//go:build ignore

// It knows version 00 and refuses every other one. When a client is a version ahead, all
// its traces break off here.
//
//workshop:caught-by TestParse/takes_a_later_version_with_more_behind
//workshop:says a higher version may have more parts
package tracing

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

func Parse(traceparent string) (sc trace.SpanContext, ok bool) {
	parts := strings.SplitN(traceparent, "-", 5)
	if len(parts) < 4 {
		return trace.SpanContext{}, false
	}
	var version, flags [1]byte
	var traceID trace.TraceID
	var spanID trace.SpanID
	if !digits(version[:], parts[0]) || !digits(traceID[:], parts[1]) || !digits(spanID[:], parts[2]) || !digits(flags[:], parts[3]) {
		return trace.SpanContext{}, false
	}
	if version[0] != 0 || len(parts) == 5 {
		return trace.SpanContext{}, false
	}
	sc = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
	return sc, sc.IsValid()
}
