//go:build ignore

// It returns an answer with 4xx as an error, because the span has it as one. The caller never
// sees what the other side has to say, and takes a declined card for a broken line.
//
//workshop:caught-by TestClient/is_an_error_from_400_on
//workshop:says an answer is no error of RoundTrip
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
		} else if r.Header[header] != nil {
			r = r.Clone(ctx)
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
		if err != nil {
			return nil, err
		}
		return answer, nil
	})
}
