//go:build ignore

// It hands the trace on only where its own span is recorded. The other side takes that for no
// trace at all, and records one of its own, though it was decided that this request is not.
//
//workshop:caught-by TestClient/says_also_that_it_is_not_recorded
//workshop:says begins a trace of its own
package tracing

import (
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Client(next http.RoundTripper, tracer trace.Tracer, name string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, span := tracer.Start(r.Context(), r.Method+" "+name, trace.WithSpanKind(trace.SpanKindClient))
		if sc := span.SpanContext(); sc.IsValid() && span.IsRecording() {
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
		if status != 0 {
			return answer, nil
		}
		return nil, err
	})
}
