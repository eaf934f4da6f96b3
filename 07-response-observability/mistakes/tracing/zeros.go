//go:build ignore

// It takes what has the right form. IDs that are all zeros have it, too, and stand for none:
// all requests of a broken client become one trace.
//
//workshop:caught-by TestParse/refuses_a_trace_of_zeros
//workshop:says stands for none
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
	if version[0] == 0xff || version[0] == 0 && len(parts) == 5 {
		return trace.SpanContext{}, false
	}
	sc = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
	return sc, true
}
