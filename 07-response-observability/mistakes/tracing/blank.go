//go:build ignore

// It puts into the context whatever Parse returns. Where that is nothing, the nothing takes
// the place of the span that is in the context already, and the trace breaks off.
//
//workshop:caught-by TestServer/is_a_part_of_the_span_in_its_context_after_nonsense
//workshop:says takes nothing's place
package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Server(next http.Handler, tracer trace.Tracer, name func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &writer{ResponseWriter: w, status: http.StatusOK}
		ctx := r.Context()
		if values := r.Header[header]; len(values) > 0 {
			var parent trace.SpanContext
			if len(values) == 1 {
				parent, _ = Parse(values[0])
			}
			ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
		}
		ctx, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		r = r.WithContext(ctx)
		returned := false
		defer func() {
			status := watched.status
			if !returned {
				status = http.StatusInternalServerError
			}
			conclude(span, name(r), status, nil)
		}()
		next.ServeHTTP(watched, r)
		returned = true
	})
}
