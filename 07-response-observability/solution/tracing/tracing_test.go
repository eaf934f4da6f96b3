package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
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

	"clicktocode.example/07-response-observability/solution/tracing"
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
		require.Equal(t, traceID, sc.TraceID().String())
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
		{"refuses_one_digit_of_version", "0-" + traceID + "-" + spanID + "-01", "a version has two digits"},
		{"refuses_one_digit_of_flags", "00-" + traceID + "-" + spanID + "-1", "flags have two digits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, good := tracing.Parse(parent)
			require.True(t, good, "Parse(%q), which is right. What is wrong comes after it", parent)
			sc, ok := tracing.Parse(test.text)
			require.False(t, ok, "Parse(%q) returned trace %s, span %s: %s", test.text, sc.TraceID(), sc.SpanID(), test.why)
		})
	}
	t.Run("agrees_with_opentelemetry", func(t *testing.T) {
		for _, text := range []string{parent, "00-" + traceID + "-" + spanID + "-00", "01-" + traceID + "-" + spanID + "-01", "00-" + traceID + "-" + spanID + "-0x", "nonsense"} {
			theirs := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": text}))
			ours, ok := tracing.Parse(text)
			require.Equal(t, theirs.IsValid(), ok, "Parse(%q): OpenTelemetry's own reader is the judge", text)
			if ok {
				require.Equal(t, theirs, ours, "Parse(%q)", text)
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
		require.True(t, s.SpanContext().IsValid())
		require.False(t, s.Parent().IsValid(), "a request without traceparent begins a trace: its span has no parent")
	})
	t.Run("starts_anew_after_nonsense", func(t *testing.T) {
		for _, text := range []string{"nonsense", "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01"} {
			tr, spans := tracer(t)
			serve(t, tr, fine, text)
			s := one(t, spans)
			require.False(t, s.Parent().IsValid(), "traceparent %q: what Parse refuses is not used, and neither is a part of it", text)
			require.True(t, s.SpanContext().IsValid())
		}
	})
	t.Run("starts_anew_after_two_callers", func(t *testing.T) {
		tr, spans := tracer(t)
		serve(t, tr, fine, parent, "00-"+strings.Repeat("1", 32)+"-"+spanID+"-01")
		require.False(t, one(t, spans).Parent().IsValid(), "two traceparents in one request: nobody can tell which is right")
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
		attributes := map[string]string{}
		for _, a := range one(t, spans).Attributes() {
			attributes[string(a.Key)] = a.Value.String()
		}
		require.Equal(t, "201", attributes["http.response.status_code"], "the handler has answered with 201 (see conclude)")
	})
	for _, test := range []struct {
		name   string
		status int
		want   codes.Code
		why    string
	}{
		{"is_an_error_from_500_on", 503, codes.Error, "503 is our fault"},
		{"is_no_error_if_the_client_is_wrong", 404, codes.Unset, "404 is the client's: an operator who is woken for each of them turns the alarm off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, spans := tracer(t)
			serve(t, tr, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) })
			require.Equal(t, test.want, one(t, spans).Status().Code, "the span's status after an answer with %d: %s", test.status, test.why)
		})
	}
	t.Run("ends_when_the_handler_panics", func(t *testing.T) {
		tr, spans := tracer(t)
		require.PanicsWithValue(t, "burnt", func() { serve(t, tr, func(http.ResponseWriter, *http.Request) { panic("burnt") }) }, "the panic goes on: it is recovery's")
		require.Equal(t, codes.Error, one(t, spans).Status().Code, "the span has ended, and is an error: see defer")
	})
}

// carrier is a RoundTripper that keeps the request.
type carrier struct {
	got    *http.Request
	status int
	err    error
}

func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	c.got = r
	if c.err != nil {
		return nil, c.err
	}
	return &http.Response{StatusCode: c.status, Status: http.StatusText(c.status), Body: http.NoBody, Request: r}, nil
}

func TestClient(t *testing.T) {
	ask := func(t *testing.T, ctx context.Context, tr trace.Tracer, c *carrier) *http.Request {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://payments.test/v1/charges", nil)
		require.NoError(t, err)
		r.Header.Set("traceparent", parent) // copied from who asked us: another parent
		_, err = tracing.Client(c, tr, "payments").RoundTrip(r)
		require.ErrorIs(t, err, c.err)
		require.NotNil(t, c.got)
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
	for _, test := range []struct {
		name    string
		carrier carrier
		want    codes.Code
	}{
		{"is_no_error_if_it_went_well", carrier{status: 200}, codes.Unset},
		{"is_an_error_if_we_were_refused", carrier{status: 404}, codes.Error},
		{"is_an_error_if_they_failed", carrier{status: 503}, codes.Error},
		{"is_an_error_if_nobody_answered", carrier{err: errors.New("connection refused")}, codes.Error},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, spans := tracer(t)
			ask(t, t.Context(), tr, &test.carrier)
			require.Equal(t, test.want, one(t, spans).Status().Code, "the span's status after an answer with %d, error %v", test.carrier.status, test.carrier.err)
		})
	}
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
		require.Len(t, byName, 3, "spans: the edge's, the edge's call, and the kitchen's")
		require.Equal(t, spanID, byName["edge"].Parent().SpanID().String(), "the edge's parent is the click")
		require.Equal(t, byName["edge"].SpanContext().SpanID(), byName["GET kitchen"].Parent().SpanID(), "the call's parent is the edge")
		require.Equal(t, byName["GET kitchen"].SpanContext().SpanID(), byName["kitchen"].Parent().SpanID(), "the kitchen's parent is the edge's call")
	})
}

// What is handed through costs nothing where nobody records.
//
//workshop:guard TestOff/...
func TestOff(t *testing.T) {
	t.Run("sends_no_traceparent_of_its_own", func(t *testing.T) {
		c := &carrier{status: 200}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://payments.test/", nil)
		require.NoError(t, err)
		_, err = tracing.Client(c, noop.NewTracerProvider().Tracer(""), "payments").RoundTrip(r)
		require.NoError(t, err)
		assert.Empty(t, c.got.Header.Get("traceparent"), "without a tracer and a trace, there is nothing to say")
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
