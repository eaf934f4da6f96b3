// Package tracing lets one request be followed through all the processes that it
// passes. Each of them makes a span of what it does: a name, a start, an end. The
// spans of one request have a trace ID in common, and each but the first names the
// span that it is a part of. That is all a trace is, and it only works if whoever
// asks another process hands both IDs on. They travel in a field of the request:
//
//	traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//	             ├┘ ├──────────────┬───────────────┘ ├──────┬───────┘ ├┘
//	             version         trace ID             parent's span  flags: 01 is "recorded"
//
//	click ─► edge1: Server ─► Client ─► a: Server ─► Client ─► payments
//	          span 1     span 2          span 3       span 4
//
// In the story, the slip that goes with an order from hand to hand bears the order's
// number, and who had it last.
//
// Source: W3C Trace Context, level 1, §3.2 (traceparent); OpenTelemetry's semantic
// conventions for HTTP spans for the names.
package tracing

import (
	"encoding/hex"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// header is the field that carries the IDs.
const header = "Traceparent"

// Parse reads the value of a traceparent field. ok is false if it is not one; then
// it must not be used, and neither must a part of it (§3.2.2). What it must be:
//
//   - four parts with hyphens between: version, trace ID, parent's span ID and flags,
//     of 2, 32, 16 and 2 digits. Digits are hexadecimal, and letters among them in
//     lower case.
//   - The version is not ff. With version 00, nothing follows. With a higher one,
//     something may follow behind another hyphen, and is not looked at (§4.3).
//   - Neither ID is all zeros: that stands for "none".
//
// The result is remote (trace.SpanContext.IsRemote). Of the flags only the last bit
// counts, trace.FlagsSampled: others are not defined, and not handed on.
func Parse(traceparent string) (sc trace.SpanContext, ok bool) {
	// TODO(tracing): strings.SplitN into five at most, then look at each part. digits decodes one.
	// The reference imports, besides what stands above: "errors".
	return trace.SpanContext{}, false
}

// digits decodes text, hexadecimal digits in lower case, into all of to. It reports
// whether it was that, and exactly as much.
func digits(to []byte, text string) bool {
	if len(text) != hex.EncodedLen(len(to)) || strings.ContainsAny(text, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}

// Format is the traceparent of sc, which must be valid: Parse reads it.
func Format(sc trace.SpanContext) string {
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + (sc.TraceFlags() & trace.FlagsSampled).String()
}

// Server returns a handler that makes a span of each request, and calls next in its
// context: whatever next does in the request's context is a part of it. The span is a
// child of the one that the request's traceparent names. Without one, or if that
// cannot be read, or comes twice, even with the same value (§3.2: nobody can tell which
// is right), it starts a new trace, unless the request's context has a span already:
// then it is a child of that one.
//
// Its kind is trace.SpanKindServer. Its name is what name says, once next has returned,
// of the request that next was given: only then is the route known, and a mux notes it
// in that request. Until then, and where name says nothing, it is the method: never the
// path, of which there are as many as there are orders. It has the attribute
// http.response.status_code, and is an error (codes.Error) from 500 on: 4xx is the
// client's. It ends when next returns, also by a panic. That counts as 500, whatever was
// written before, and goes on with the same value.
func Server(next http.Handler, tracer trace.Tracer, name func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := &writer{ResponseWriter: w, status: http.StatusOK}
		// TODO(tracing): The field's values are r.Header[header]. Put what Parse read into the context
		// (trace.ContextWithRemoteSpanContext), start a span in it, and serve next with
		// a request that has the span's context (r.WithContext). conclude ends the span.
		next.ServeHTTP(watched, r)
	})
}

// Client returns a RoundTripper that makes a span of each request which next carries,
// a child of the one in the request's context, and says so in its traceparent: so the
// other side's span is a child of this one. It is sent also where the span is not
// recorded: the flags say so. Whatever traceparent the request had is replaced: it named
// another parent. If there is no span in the context, and the tracer makes none, no
// traceparent is sent, not even that one.
//
// The span's kind is trace.SpanKindClient, its name the method and name. It ends with
// next's return, when the answer's header is there. It has the attribute
// http.response.status_code if there is an answer, and is an error if next failed, or
// the status is 400 or more: here, we are the client. What next returned is returned as
// it is, an answer of whatever status with a body that nobody has read or closed.
//
// RoundTrip does not change the request: that is the caller's (http.RoundTripper). It
// may be called by many goroutines at once, if next and tracer may.
func Client(next http.RoundTripper, tracer trace.Tracer, name string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		// TODO(tracing): Start a span in r.Context(). Clone the request with the span's context, set the
		// field by Format(span.SpanContext()) if that is valid, or take it out, and have
		// next carry that. Then conclude.
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// conclude ends span: with another name, unless that is empty; with the status, unless
// that is 0; and as an error if err is one, or the status is 500 or more.
func conclude(span trace.Span, name string, status int, err error) {
	if span.IsRecording() { // or the attributes are made for nobody
		if name != "" {
			span.SetName(name)
		}
		if status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		switch {
		case err != nil:
			span.SetStatus(codes.Error, err.Error())
		case status >= http.StatusInternalServerError:
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
	span.End()
}

// writer notes the status.
type writer struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *writer) WriteHeader(status int) {
	if status >= http.StatusOK && !w.wrote { // 1xx come before the answer
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
