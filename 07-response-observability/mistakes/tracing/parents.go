//go:build ignore

// It tells the other side who its own parent is. The other side's span hangs beside the
// call then, and not below it: how long the way took is nowhere to be seen.
//
//workshop:caught-by TestClient/names_itself_to_the_other_side
//workshop:says would leave the time on the way unseen
package tracing

import (
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

func Client(next http.RoundTripper, tracer trace.Tracer, name string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, span := tracer.Start(r.Context(), r.Method+" "+name, trace.WithSpanKind(trace.SpanKindClient))
		if sc := trace.SpanContextFromContext(r.Context()); sc.IsValid() {
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
