//go:build ignore

// Where there is no span, it leaves the request as it is. A traceparent that was copied from
// another request goes out with it, and names a parent that knows nothing of this call.
//
//workshop:caught-by TestOff/sends_no_traceparent_at_all
//workshop:says Take it out
package tracing

import (
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Client(next http.RoundTripper, tracer trace.Tracer, name string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, span := tracer.Start(r.Context(), r.Method+" "+name, trace.WithSpanKind(trace.SpanKindClient))
		if sc := span.SpanContext(); sc.IsValid() {
			r = r.Clone(ctx)
			r.Header.Set(header, Format(sc))
		}
		answer, err := next.RoundTrip(r)
		status := 0
		if err == nil {
			if status = answer.StatusCode; status >= http.StatusBadRequest && status < http.StatusInternalServerError {
				err = errors.New(answer.Status)
			}
		}
		conclude(span, "", status, err)
		if status != 0 {
			return answer, nil
		}
		return nil, err
	})
}
