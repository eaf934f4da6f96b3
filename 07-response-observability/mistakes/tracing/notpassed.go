//go:build ignore

// It makes a span, and serves the request in the context that it came with. Whatever the
// handler does then is a part of no span.
//
//workshop:caught-by TestServer/hands_the_span_to_the_handler
//workshop:says is a part of no request
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
		_, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
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
