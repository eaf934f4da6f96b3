package tracing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"clicktocode.example/07-response-observability/exercise/tracing"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

// tracer records spans.
func tracer(t *testing.T) (trace.Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	return provider.Tracer("test"), spans
}

// one is the only span that has ended.
func one(t *testing.T, spans *tracetest.SpanRecorder) sdk.ReadOnlySpan {
	t.Helper()
	ended := spans.Ended()
	require.Len(t, ended, 1, "spans that have ended. Each request is one: tracer.Start begins it, conclude ends it")
	return ended[0]
}

func TestParse(t *testing.T) {
	t.Run("reads_both_ids", func(t *testing.T) {
		sc, ok := tracing.Parse(parent)
		require.True(t, ok, "Parse(%q): this is the example of W3C Trace Context §3.2.3", parent)
		require.Equal(t, traceID, sc.TraceID().String(), "the trace's ID, of Parse(%q)", parent)
		require.Equal(t, spanID, sc.SpanID().String(), "the parent's span ID, of Parse(%q)", parent)
	})
	t.Run("comes_from_elsewhere", func(t *testing.T) {
		sc, _ := tracing.Parse(parent)
		require.True(t, sc.IsRemote(), "what was read from a request is remote (SpanContextConfig.Remote)")
	})
	for _, test := range []struct {
		name, flags string
		sampled     bool
	}{
		{"reads_that_it_is_recorded", "01", true},
		{"reads_that_it_is_not_recorded", "00", false},
		{"looks_at_the_last_bit_alone", "fd", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := "00-" + traceID + "-" + spanID + "-" + test.flags
			sc, ok := tracing.Parse(text)
			require.True(t, ok, "Parse(%q)", text)
			require.Equal(t, test.sampled, sc.IsSampled(), "Parse(%q): the last bit of the flags is \"recorded\" (§3.2.2.5)", text)
			require.Zero(t, sc.TraceFlags()&^trace.FlagsSampled, "Parse(%q): bits that are not defined are not handed on", text)
		})
	}
	t.Run("takes_a_later_version_with_more_behind", func(t *testing.T) {
		text := "cc-" + traceID + "-" + spanID + "-01-what-the-future-will-be-like"
		sc, ok := tracing.Parse(text)
		require.True(t, ok, "Parse(%q): a higher version may have more parts, and the first four stay as they are (§4.3)", text)
		require.Equal(t, traceID, sc.TraceID().String(), "the trace's ID, of Parse(%q)", text)
		require.Equal(t, spanID, sc.SpanID().String(), "the parent's span ID, of Parse(%q)", text)
	})
	t.Run("takes_a_later_version_with_nothing_behind", func(t *testing.T) {
		text := "01-" + traceID + "-" + spanID + "-01"
		sc, ok := tracing.Parse(text)
		require.True(t, ok, "Parse(%q): a higher version may have more parts, and need not (§4.3)", text)
		require.Equal(t, traceID, sc.TraceID().String(), "the trace's ID, of Parse(%q)", text)
	})
	t.Run("reads_the_flags_of_a_later_version", func(t *testing.T) {
		text := "cc-" + traceID + "-" + spanID + "-01-x"
		sc, ok := tracing.Parse(text)
		require.True(t, ok, "Parse(%q): a higher version may have more parts (§4.3)", text)
		require.True(t, sc.IsSampled(), "Parse(%q): the flags stand where they stood in version 00, and mean the same (§4.3)", text)
	})
	for _, test := range []struct{ name, text, why string }{
		{"refuses_nothing_at_all", "", "it is empty"},
		{"refuses_three_parts", "00-" + traceID + "-" + spanID, "the flags are missing"},
		{"refuses_a_fifth_part_of_version_00", parent + "-extra", "version 00 has four parts, and a hyphen behind them is no part of it"},
		{"refuses_version_ff", "ff-" + traceID + "-" + spanID + "-01", "version ff is forbidden (§3.2.2.1)"},
		{"refuses_a_trace_of_zeros", "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01", "a trace ID of zeros stands for none (§3.2.2.3)"},
		{"refuses_a_span_of_zeros", "00-" + traceID + "-" + strings.Repeat("0", 16) + "-01", "a span ID of zeros stands for none (§3.2.2.4)"},
		{"refuses_capitals", "00-" + strings.ToUpper(traceID) + "-" + spanID + "-01", "digits are in lower case (§3.2.2): what others compare as text must be the same text"},
		{"refuses_a_short_trace", "00-" + traceID[2:] + "-" + spanID + "-01", "a trace ID has 32 digits"},
		{"refuses_a_long_span", "00-" + traceID + "-" + spanID + "00-01", "a span ID has 16 digits"},
		{"refuses_what_is_no_digit", "00-" + traceID[:31] + "x-" + spanID + "-01", "x is no hexadecimal digit"},
		{"refuses_a_space_in_front", " " + parent, "a space is no digit"},
		{"refuses_a_space_behind", parent + " ", "a space is no digit, and flags have two of them"},
		{"refuses_one_digit_of_version", "0-" + traceID + "-" + spanID + "-01", "a version has two digits"},
		{"refuses_one_digit_of_flags", "00-" + traceID + "-" + spanID + "-1", "flags have two digits"},
		{"refuses_a_hyphen_behind_version_00", parent + "-", "version 00 has four parts, and a hyphen behind them begins a fifth one, which is empty"},
		{"refuses_a_version_that_is_no_number", "zz-" + traceID + "-" + spanID + "-01", "z is no hexadecimal digit, and versions have two of them"},
		{"refuses_flags_that_are_no_number", "00-" + traceID + "-" + spanID + "-0x", "x is no hexadecimal digit"},
		{"refuses_capitals_in_the_version", "CC-" + traceID + "-" + spanID + "-01", "digits are in lower case (§3.2.2)"},
		{"refuses_capitals_in_the_span", "00-" + traceID + "-" + strings.ToUpper(spanID) + "-01", "digits are in lower case (§3.2.2)"},
		{"refuses_capitals_in_the_flags", "00-" + traceID + "-" + spanID + "-0B", "digits are in lower case (§3.2.2)"},
		{"refuses_a_trace_of_zeros_in_a_later_version", "cc-" + strings.Repeat("0", 32) + "-" + spanID + "-01-x", "zeros stand for none in each version: what the first four parts mean, stays (§4.3)"},
		{"refuses_a_span_of_zeros_in_a_later_version", "cc-" + traceID + "-" + strings.Repeat("0", 16) + "-01-x", "zeros stand for none in each version: what the first four parts mean, stays (§4.3)"},
		{"refuses_long_flags_of_a_later_version", "cc-" + traceID + "-" + spanID + "-01x", "what a later version has more stands behind another hyphen (§4.3)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, good := tracing.Parse(parent)
			require.True(t, good, "Parse(%q), which is right. What is wrong comes after it", parent)
			sc, ok := tracing.Parse(test.text)
			require.False(t, ok, "Parse(%q) returned trace %s, span %s: %s", test.text, sc.TraceID(), sc.SpanID(), test.why)
		})
	}
	t.Run("agrees_with_opentelemetry", func(t *testing.T) {
		for _, text := range []string{parent, "00-" + traceID + "-" + spanID + "-00", "01-" + traceID + "-" + spanID + "-01", "cc-" + traceID + "-" + spanID + "-01-x", "00-" + traceID + "-" + spanID + "-0x", "nonsense"} {
			theirs := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": text}))
			ours, ok := tracing.Parse(text)
			require.Equal(t, theirs.IsValid(), ok, "Parse(%q): OpenTelemetry's own reader is the judge, except of flags that it does not know. Those it refuses, and the standard does not (§3.2.2.5)", text)
			if ok {
				require.Equal(t, theirs, ours, "Parse(%q): what OpenTelemetry's own reader makes of it", text)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{parent, "cc-" + traceID + "-" + spanID + "-01-x", "", "----"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sc, ok := tracing.Parse(text)
		if !ok {
			sc, ok = tracing.Parse(parent)
			require.True(t, ok, "Parse(%q)", parent)
		}
		again, ok := tracing.Parse(tracing.Format(sc))
		require.True(t, ok, "Parse of %q, which Format made of what Parse read in %q", tracing.Format(sc), text)
		require.Equal(t, sc, again)
	})
}

// serve has a Server answer a request with those traceparents.
func serve(t *testing.T, tr trace.Tracer, h http.HandlerFunc, traceparents ...string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/orders/o-17", nil)
	for _, tp := range traceparents {
		r.Header.Add("traceparent", tp)
	}
	tracing.Server(h, tr, func(*http.Request) string { return "GET /orders/:id" }).ServeHTTP(httptest.NewRecorder(), r)
}

func fine(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }

func TestServer(t *testing.T) {
	t.Run("makes_a_span_of_a_request", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine)
		s := one(t, spans)
		require.Equal(t, "GET /orders/:id", s.Name(), "the span's name is what name says")
		require.Equal(t, trace.SpanKindServer, s.SpanKind(), "the span's kind (trace.WithSpanKind)")
	})
	t.Run("is_a_part_of_the_callers_span", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine, parent)
		s := one(t, spans)
		require.Equal(t, traceID, s.SpanContext().TraceID().String(), "the request came with traceparent %q: its trace goes on. With a new one at each hop, there is no trace but a heap of spans", parent)
		require.Equal(t, spanID, s.Parent().SpanID().String(), "the span's parent is the caller's span")
		require.NotEqual(t, spanID, s.SpanContext().SpanID().String(), "it is a span of its own")
	})
	t.Run("hands_the_span_to_the_handler", func(t *testing.T) {
		tr, spans := tracer(t)
		var inside trace.SpanContext
		serve(t, tr, func(w http.ResponseWriter, r *http.Request) { inside = trace.SpanContextFromContext(r.Context()) }, parent)
		require.Equal(t, one(t, spans).SpanContext().SpanID(), inside.SpanID(), "the span in the context of the request that the handler got: without it, whatever the handler does (a query, a charge, a log line) is a part of no request. See r.WithContext")
	})
	t.Run("starts_anew_without_a_caller", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine)
		s := one(t, spans)
		require.True(t, s.SpanContext().IsValid(), "the span has IDs")
		require.False(t, s.Parent().IsValid(), "a request without traceparent begins a trace: its span has no parent")
	})
	t.Run("starts_anew_after_nonsense", func(t *testing.T) {
		for _, text := range []string{"nonsense", "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01"} {
			tr, spans := tracer(t)
			serve(t, tr, fine, text)
			s := one(t, spans)
			require.False(t, s.Parent().IsValid(), "traceparent %q: what Parse refuses is not used, and neither is a part of it", text)
			require.True(t, s.SpanContext().IsValid(), "the span has IDs")
		}
	})
	t.Run("starts_anew_after_two_callers", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine, parent, "00-"+strings.Repeat("1", 32)+"-"+spanID+"-01")
		require.False(t, one(t, spans).Parent().IsValid(), "two traceparents in one request: nobody can tell which is right")
	})
	t.Run("starts_anew_after_the_same_caller_twice", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine, parent, parent)
		require.False(t, one(t, spans).Parent().IsValid(), "two traceparents in one request, with the same value: whoever sends a field twice that may come once is not believed (§3.2). r.Header.Get shows the first one only")
	})
	t.Run("is_a_part_of_the_span_in_its_context", func(t *testing.T) {
		tr, spans := tracer(t)
		ctx, outer := tr.Start(t.Context(), "around")
		r := httptest.NewRequest(http.MethodGet, "/orders/o-17", nil).WithContext(ctx)
		tracing.Server(http.HandlerFunc(fine), tr, func(*http.Request) string { return "x" }).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, outer.SpanContext().SpanID(), one(t, spans).Parent().SpanID(), "the span's parent. The request has no traceparent, and its context a span, which another handler in front has started: this one is a part of it")
	})
	t.Run("is_a_part_of_the_span_in_its_context_after_nonsense", func(t *testing.T) {
		for _, texts := range [][]string{{"nonsense"}, {"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01"}, {parent, parent}} {
			tr, spans := tracer(t)
			ctx, outer := tr.Start(t.Context(), "around")
			r := httptest.NewRequest(http.MethodGet, "/orders/o-17", nil).WithContext(ctx)
			r.Header["Traceparent"] = texts
			tracing.Server(http.HandlerFunc(fine), tr, func(*http.Request) string { return "x" }).ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, outer.SpanContext().SpanID(), one(t, spans).Parent().SpanID(), "the span's parent, of a request with traceparent %q, in whose context there is a span: what cannot be read is as if it were not there, and takes nothing's place. Use what Parse returns only if it says so", texts)
		}
	})
	t.Run("keeps_what_the_context_held", func(t *testing.T) {
		tr, spans := tracer(t)
		type key struct{}
		var got any
		r := httptest.NewRequest(http.MethodGet, "/orders/o-17", nil)
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Context().Value(key{}) })
		tracing.Server(h, tr, func(*http.Request) string { return "x" }).ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), key{}, "ada")))
		require.Equal(t, "ada", got, "a value in the request's context, which another handler in front has put there. The span's context is made of that one, and not a new one")
		one(t, spans)
	})
	t.Run("asks_for_the_name_when_the_route_is_known", func(t *testing.T) {
		tr, spans := tracer(t)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /orders/{id}", fine)
		h := tracing.Server(mux, tr, func(r *http.Request) string { return r.Pattern })
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/o-17", nil))
		require.Equal(t, "GET /orders/{id}", one(t, spans).Name(), "the span's name, with an http.ServeMux for next, and a name that returns the request's Pattern. The mux notes the pattern in the request that it was given, and r.WithContext has made that one: ask name about it, once next has returned")
	})
	t.Run("is_never_named_by_the_path", func(t *testing.T) {
		tr, spans := tracer(t)
		h := tracing.Server(http.HandlerFunc(fine), tr, func(*http.Request) string { return "" })
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/o-17", nil))
		require.Equal(t, http.MethodGet, one(t, spans).Name(), "the span's name, for GET /orders/o-17, where name returns \"\": the method. The path would be another name for each order, and nobody could count them")
	})
	t.Run("is_not_recorded_if_the_caller_says_so", func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
		serve(t, provider.Tracer("test"), fine, "00-"+traceID+"-"+spanID+"-00")
		require.Empty(t, spans.Ended(), "traceparent with flags 00: whoever began the trace has decided that it is not recorded. Hand on the flags")
		serve(t, provider.Tracer("test"), fine, parent)
		require.Len(t, spans.Ended(), 1, "and with flags 01 it is")
	})
	t.Run("tells_the_status", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine)
		require.Equal(t, "201", status(one(t, spans)), "the span's http.response.status_code: the handler has answered with 201 (see conclude)")
	})
	for _, test := range []struct {
		name   string
		status int
		want   codes.Code
		why    string
	}{
		{"is_an_error_from_500_on", 500, codes.Error, "500 is our fault"},
		{"is_an_error_if_we_cannot", 503, codes.Error, "503 is our fault"},
		{"is_no_error_up_to_499", 499, codes.Unset, "4xx is the client's"},
		{"is_no_error_if_the_client_is_wrong", 404, codes.Unset, "404 is the client's: an operator who is woken for each of them turns the alarm off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, spans := tracer(t)
			serve(t, tr, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) })
			require.Equal(t, test.want, one(t, spans).Status().Code, "the span's status after an answer with %d: %s", test.status, test.why)
		})
	}
	// broken serves a handler that panics with v, and returns with what that goes on.
	broken := func(t *testing.T, tr trace.Tracer, status int, v any) (got any) {
		t.Helper()
		defer func() { got = recover() }()
		serve(t, tr, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			panic(v)
		})
		return nil
	}
	t.Run("ends_when_the_handler_panics", func(t *testing.T) {
		tr, spans := tracer(t)
		require.Equal(t, "burnt", broken(t, tr, 200, "burnt"), "the panic goes on: it is recovery's")
		require.Equal(t, codes.Error, one(t, spans).Status().Code, "the span has ended, and is an error: see defer")
	})
	t.Run("a_panic_goes_on_as_it_was", func(t *testing.T) {
		tr, spans := tracer(t)
		got := broken(t, tr, 200, http.ErrAbortHandler)
		one(t, spans)
		require.True(t, got == http.ErrAbortHandler, "a handler has panicked with http.ErrAbortHandler, and behind Server the panic is with %#v: net/http knows that one value, and logs every other one. Do not recover: a deferred function runs all the same", got)
	})
	t.Run("a_panic_counts_as_500", func(t *testing.T) {
		for _, written := range []int{200, 404, 503} {
			tr, spans := tracer(t)
			broken(t, tr, written, "burnt")
			require.Equal(t, "500", status(one(t, spans)), "http.response.status_code of a request whose handler has written %d, and panicked then: nobody got a whole answer, so it counts as 500", written)
		}
	})
}

// status is the span's attribute of that name, or "none".
func status(s sdk.ReadOnlySpan) string {
	for _, a := range s.Attributes() {
		if a.Key == "http.response.status_code" {
			return a.Value.String()
		}
	}
	return "none"
}

// carrier is a RoundTripper that keeps the request.
type carrier struct {
	got    *http.Request
	sent   *http.Response
	status int
	err    error
}

func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	c.got = r
	if c.err != nil {
		return nil, c.err
	}
	c.sent = &http.Response{StatusCode: c.status, Status: http.StatusText(c.status), Body: &body{Reader: strings.NewReader("receipt")}, Request: r}
	return c.sent, nil
}

// body tells a reader who comes too late.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, errors.New("the body was closed")
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error { b.closed = true; return nil }

func TestClient(t *testing.T) {
	ask := func(t *testing.T, ctx context.Context, tr trace.Tracer, c *carrier) *http.Request {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://payments.test/v1/charges", nil)
		require.NoError(t, err)
		r.Header.Set("traceparent", parent) // copied from who asked us: another parent
		_, err = tracing.Client(c, tr, "payments").RoundTrip(r)
		if c.err == nil {
			require.NoError(t, err, "RoundTrip, to which the other side has answered with %d. Whatever the status, an answer is no error of RoundTrip", c.status)
		}
		require.NotNil(t, c.got, "the request was carried by next")
		return r
	}
	t.Run("makes_a_span_of_a_call", func(t *testing.T) {
		tr, spans := tracer(t)
		ctx, outer := tr.Start(t.Context(), "place")
		ask(t, ctx, tr, &carrier{status: 200})
		s := one(t, spans)
		require.Equal(t, "POST payments", s.Name(), "the span's name")
		require.Equal(t, trace.SpanKindClient, s.SpanKind(), "the span's kind")
		require.Equal(t, outer.SpanContext().SpanID(), s.Parent().SpanID(), "it is a child of the span in the request's context")
	})
	t.Run("names_itself_to_the_other_side", func(t *testing.T) {
		tr, spans := tracer(t)
		ctx, outer := tr.Start(t.Context(), "place")
		c := &carrier{status: 200}
		ask(t, ctx, tr, c)
		require.Equal(t, tracing.Format(one(t, spans).SpanContext()), c.got.Header.Get("traceparent"),
			"the traceparent that was sent: the IDs of this call's span, so that the other side's is a part of it. That of the span around it (%s) would leave the time on the way unseen", outer.SpanContext().SpanID())
	})
	t.Run("leaves_the_callers_request_as_it_is", func(t *testing.T) {
		tr, spans := tracer(t)
		r := ask(t, t.Context(), tr, &carrier{status: 200})
		require.Len(t, spans.Ended(), 1)
		require.Equal(t, parent, r.Header.Get("traceparent"), "RoundTrip changed the request that it was given: the caller may send it again, or read it at the same time (http.RoundTripper). Clone it")
	})
	t.Run("hands_its_context_on", func(t *testing.T) {
		tr, spans := tracer(t)
		c := &carrier{status: 200}
		ask(t, t.Context(), tr, c)
		require.Equal(t, one(t, spans).SpanContext().SpanID(), trace.SpanContextFromContext(c.got.Context()).SpanID(), "the span in the context of the request that was sent: what the transport below makes spans of is a part of this one")
	})
	t.Run("says_also_that_it_is_not_recorded", func(t *testing.T) {
		tr := sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())).Tracer("test")
		c := &carrier{status: 200}
		ask(t, t.Context(), tr, c)
		sent := c.got.Header.Get("traceparent")
		require.NotEmpty(t, sent, "the traceparent that was sent for a span that is not recorded: without one, the other side begins a trace of its own, and records that")
		require.NotEqual(t, parent, sent, "the traceparent that the request had named another parent")
		require.True(t, strings.HasSuffix(sent, "-00"), "the traceparent %q was sent for a span that is not recorded: the flags 00 tell the other side not to record it either", sent)
	})
	for _, test := range []struct {
		name    string
		carrier carrier
		want    codes.Code
	}{
		{"is_no_error_if_it_went_well", carrier{status: 200}, codes.Unset},
		{"is_no_error_up_to_399", carrier{status: 399}, codes.Unset},
		{"is_an_error_from_400_on", carrier{status: 400}, codes.Error},
		{"is_an_error_if_the_card_was_declined", carrier{status: 402}, codes.Error},
		{"is_an_error_if_we_were_refused", carrier{status: 404}, codes.Error},
		{"is_an_error_if_they_failed", carrier{status: 503}, codes.Error},
		{"is_an_error_if_nobody_answered", carrier{err: errors.New("connection refused")}, codes.Error},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, spans := tracer(t)
			ask(t, t.Context(), tr, &test.carrier)
			require.Equal(t, test.want, one(t, spans).Status().Code, "the span's status after an answer with %d, error %v: from 400 on, and without an answer, it is an error. Here, we are the client", test.carrier.status, test.carrier.err)
		})
	}
	t.Run("tells_the_status", func(t *testing.T) {
		for _, want := range []int{204, 402, 503} {
			tr, spans := tracer(t)
			ask(t, t.Context(), tr, &carrier{status: want})
			require.Equal(t, strconv.Itoa(want), status(one(t, spans)), "the span's http.response.status_code, after an answer with %d (see conclude)", want)
		}
	})
	t.Run("tells_no_status_if_nobody_answered", func(t *testing.T) {
		tr, spans := tracer(t)
		ask(t, t.Context(), tr, &carrier{err: errors.New("connection refused")})
		require.Equal(t, "none", status(one(t, spans)), "the span's http.response.status_code, after a call that was not answered")
	})
	for _, test := range []struct {
		name   string
		status int
	}{
		{"returns_the_answer", 200},
		{"returns_the_answer_if_we_were_refused", 402},
		{"returns_the_answer_if_they_failed", 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, spans := tracer(t)
			c := &carrier{status: test.status}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://payments.test/v1/charges", nil)
			require.NoError(t, err)
			answer, err := tracing.Client(c, tr, "payments").RoundTrip(r)
			one(t, spans)
			require.NoError(t, err, "the other side has answered with %d. That is an answer, whatever it says, and no error of RoundTrip", test.status)
			require.NotNil(t, answer, "the other side has answered with %d, and the caller gets neither an answer nor an error", test.status)
			require.Equal(t, test.status, answer.StatusCode, "the answer's status")
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err, "the body of an answer with %d is read by the caller, who closes it, too", test.status)
			require.Equal(t, "receipt", string(text), "the body of an answer with %d: nobody has read it before the caller", test.status)
		})
	}
	t.Run("returns_the_error_if_nobody_answered", func(t *testing.T) {
		tr, spans := tracer(t)
		c := &carrier{err: errors.New("connection refused")}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://payments.test/v1/charges", nil)
		require.NoError(t, err)
		_, err = tracing.Client(c, tr, "payments").RoundTrip(r)
		one(t, spans)
		require.ErrorIs(t, err, c.err, "next has returned the error %q: whoever called tries again, or not, by what it is", c.err)
	})
}

func TestTwoHops(t *testing.T) {
	t.Run("are_one_trace", func(t *testing.T) {
		tr, spans := tracer(t)
		kitchen := httptest.NewServer(tracing.Server(http.HandlerFunc(fine), tr, func(*http.Request) string { return "kitchen" }))
		defer kitchen.Close()
		client := &http.Client{Transport: tracing.Client(http.DefaultTransport, tr, "kitchen")}
		edge := httptest.NewServer(tracing.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner, err := http.NewRequestWithContext(r.Context(), http.MethodGet, kitchen.URL, nil)
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			answer, err := client.Do(inner)
			if err != nil {
				http.Error(w, err.Error(), 502)
				return
			}
			answer.Body.Close()
		}), tr, func(*http.Request) string { return "edge" }))
		defer edge.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, edge.URL, nil)
		require.NoError(t, err)
		r.Header.Set("traceparent", parent)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer.Body.Close()
		edge.Close() // waits for its handler
		kitchen.Close()
		byName := map[string]sdk.ReadOnlySpan{}
		for _, s := range spans.Ended() {
			byName[s.Name()] = s
			assert.Equal(t, traceID, s.SpanContext().TraceID().String(), "the span %q: click, edge and kitchen are one trace", s.Name())
		}
		for _, name := range []string{"edge", "GET kitchen", "kitchen"} {
			require.Contains(t, byName, name, "the names of all spans: the edge's, the edge's call to the kitchen (a GET), and the kitchen's")
		}
		require.Len(t, byName, 3, "spans: the edge's, the edge's call, and the kitchen's")
		require.Equal(t, spanID, byName["edge"].Parent().SpanID().String(), "the edge's parent is the click")
		require.Equal(t, byName["edge"].SpanContext().SpanID(), byName["GET kitchen"].Parent().SpanID(), "the call's parent is the edge")
		require.Equal(t, byName["GET kitchen"].SpanContext().SpanID(), byName["kitchen"].Parent().SpanID(), "the kitchen's parent is the edge's call")
	})
}

// Without a tracer that makes spans, and without a trace, there is nothing to say.
func TestOff(t *testing.T) {
	t.Run("sends_no_traceparent_at_all", func(t *testing.T) {
		c := &carrier{status: 200}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://payments.test/", nil)
		require.NoError(t, err)
		r.Header.Set("traceparent", parent)
		_, err = tracing.Client(c, noop.NewTracerProvider().Tracer(""), "payments").RoundTrip(r)
		require.NoError(t, err)
		require.NotNil(t, c.got, "the request was carried by next")
		require.Empty(t, c.got.Header.Values("traceparent"), "the traceparent that was sent where the tracer makes no spans and the context has none. The request had one, copied from somewhere: it names a parent that knows nothing of this call. Take it out, of a copy")
		require.Equal(t, parent, r.Header.Get("traceparent"), "and the request itself is the caller's, and stays as it is")
	})
	t.Run("hands_on_the_trace_of_its_context", func(t *testing.T) {
		sc, ok := tracing.Parse(parent)
		require.True(t, ok, "Parse(%q)", parent)
		c := &carrier{status: 200}
		r, err := http.NewRequestWithContext(trace.ContextWithRemoteSpanContext(t.Context(), sc), http.MethodGet, "http://payments.test/", nil)
		require.NoError(t, err)
		_, err = tracing.Client(c, noop.NewTracerProvider().Tracer(""), "payments").RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, parent, c.got.Header.Get("traceparent"), "the traceparent that was sent where the tracer makes no spans, but the context has one, of who asked us: such a tracer's span has that one's IDs (see its SpanContext), and the trace goes on behind us")
	})
}

func BenchmarkServer(b *testing.B) {
	for _, on := range []bool{false, true} {
		name, tr := "off", noop.NewTracerProvider().Tracer("")
		if on {
			name, tr = "on", sdk.NewTracerProvider().Tracer("")
		}
		b.Run(name, func(b *testing.B) {
			h := tracing.Server(http.HandlerFunc(fine), tr, func(*http.Request) string { return "GET /menu" })
			r, w := httptest.NewRequest(http.MethodGet, "/menu", nil), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
