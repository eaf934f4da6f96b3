//go:build ignore

// It starts a trace of its own at each hop. Each process has its spans, and nothing says
// that they belong to one request.
//
//workshop:caught-by TestServer/is_a_part_of_the_callers_span
//workshop:says a heap of spans
package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Server(next http.Handler, tracer trace.Tracer, name func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &writer{ResponseWriter: w, status: http.StatusOK}
		ctx := r.Context()
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
