//go:build ignore

// It writes the field into the request that it was given. That is the caller's, who may be
// about to send it a second time, from another goroutine.
//
//workshop:caught-by TestClient/leaves_the_callers_request_as_it_is
//workshop:says Clone it
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
			r = r.WithContext(ctx)
			r.Header.Set(header, Format(sc))
		} else if r.Header[header] != nil {
			r.Header.Del(header)
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
