//go:build ignore

// It ends the span behind the handler, and not in a defer. A handler that panics leaves a
// span that never ends, and is in no trace: just the one that somebody looks for.
//
//workshop:caught-by TestServer/ends_when_the_handler_panics
//workshop:says conclude ends it
package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Server(next http.Handler, tracer trace.Tracer, name func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &writer{ResponseWriter: w, status: http.StatusOK}
		ctx := r.Context()
		if values := r.Header[header]; len(values) == 1 {
			if parent, ok := Parse(values[0]); ok {
				ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
			}
		}
		ctx, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		r = r.WithContext(ctx)
		next.ServeHTTP(watched, r)
		conclude(span, name(r), watched.status, nil)
	})
}
