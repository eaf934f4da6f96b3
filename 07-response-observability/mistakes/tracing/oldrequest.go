//go:build ignore

// It asks for the name of the request that came, and not of the one that it has handed on.
// The mux has noted the route in the latter: all spans are called GET.
//
//workshop:caught-by TestServer/asks_for_the_name_when_the_route_is_known
//workshop:says The mux notes the pattern in the request that it was given
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
		inner := r.WithContext(ctx)
		returned := false
		defer func() {
			status := watched.status
			if !returned {
				status = http.StatusInternalServerError
			}
			conclude(span, name(r), status, nil)
		}()
		next.ServeHTTP(watched, inner)
		returned = true
	})
}
