// Package structlog is a slog.Handler that stands in front of another one and does
// two things to each line: it adds the IDs by which a request is found again, and
// takes out what must never be written down.
//
//	logger ─► structlog ─► slog.JSONHandler ─► standard error
//	             │  + trace_id, span_id, request_id   from the context
//	             └  password, token, cookie …         become [redacted]
//
// Whoever logs need not think of either. That is the point: one line in a thousand
// is written in a hurry, and it is the one with the customer's token in it.
//
// In the story, each slip of paper in the house bears the table's number, and nobody
// writes a guest's PIN on one.
//
// It sees attributes, and not what is inside a message or a struct: a value that
// holds a secret implements slog.LogValuer.
//
// Source: the log/slog handler guide (J. Amsterdam, 2023), and package
// testing/slogtest; OWASP's "Logging Cheat Sheet", on data to exclude; the field
// names are those of OpenTelemetry's "Trace Context in non-OTLP Log Formats".
package structlog

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/04-middleware/request"
)

// Redacted is what stands in the place of a secret.
const Redacted = "[redacted]"

// Handler is what New returns. It may be used by many goroutines at once.
type Handler struct {
	next slog.Handler // with all steps done

	// root is the handler as it was given, and steps are the WithAttrs and WithGroup
	// since then, in their order. They are done once more, in Handle, where attributes
	// are to stand before a group that is open already.
	root  slog.Handler
	steps []func(slog.Handler) slog.Handler
	// grouped is true once a group is open: then what is added to a record stands
	// inside of it.
	grouped bool
}

// New returns a handler in front of next, which must not be nil.
func New(next slog.Handler) *Handler { return &Handler{next: next, root: next} }

// Enabled implements slog.Handler: next decides.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithGroup implements slog.Handler: what comes later stands in a group of that
// name. An empty name is no group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
	with.grouped = true
	return with
}

// then is a copy of h with one step more. h itself must not change: others log by it.
func (h *Handler) then(step func(slog.Handler) slog.Handler) *Handler {
	return &Handler{next: step(h.next), root: h.root, steps: append(slices.Clip(h.steps), step), grouped: h.grouped}
}

// WithAttrs implements slog.Handler: each line from here on has attrs, too, in the
// group that is open. They are redacted once, here, and not with every line. h
// itself stays as it is.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	// TODO(structlog): Redact each of them, into a slice of your own: the caller keeps theirs. Then h.then.
	return h
}

// Handle implements slog.Handler: it gives next a record with r's time, level,
// message and place in the source, whose attributes are r's, redacted, and behind
// them the IDs that ctx holds (see ids). IDs stand at the top of the line whatever
// groups are open, where everyone who searches looks for them (see atTop). One that
// r itself has under the same key is not added again.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	// TODO(structlog): Make a record (slog.NewRecord) with r's attributes redacted: those of a record
	// cannot be changed. Then the IDs: with a group open, atTop is the handler to
	// give it to; without, the record takes them.
	return nil
}

// atTop is the next handler, with attrs before all that WithGroup and WithAttrs
// have added. It costs what all of these have cost: so Handle takes it only where it
// must.
func (h *Handler) atTop(attrs []slog.Attr) slog.Handler {
	next := h.root.WithAttrs(attrs)
	for _, step := range h.steps {
		next = step(next)
	}
	return next
}

// redact returns a with the value Redacted if its key is that of a secret,
// whatever the value is, a group too. Of another group, each attribute is redacted
// likewise, however deep. A slog.LogValuer is asked for its value before that:
// behind it may stand a group. All others are as they were.
func redact(a slog.Attr) slog.Attr {
	// TODO(structlog): A secret? Then Redacted. A group? Then each of its attributes. The value that
	// counts is a.Value.Resolve().
	return a
}

// ids are the IDs that ctx holds: of the trace, of the span (each in hexadecimal
// digits), and of the request. What there is not is left out. The slice is the
// caller's own.
func ids(ctx context.Context) (attrs []slog.Attr) {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		attrs = append(attrs, slog.String("trace_id", s.TraceID().String()), slog.String("span_id", s.SpanID().String()))
	}
	if id := request.ID(ctx); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	return attrs
}

// secrets are the words that end the key of a secret: "token" those of token,
// access_token and X-Auth-Token, but not of tokens_left.
var secrets = []string{"password", "passwd", "secret", "token", "authorization", "cookie", "api_key", "apikey", "secret_key", "private_key", "credentials", "signature", "card", "card_number", "cvc", "dsn", "database_url"}

// secret reports whether key is that of a secret. Capitals do not count, and a
// hyphen is an underscore.
func secret(key string) bool {
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	return slices.ContainsFunc(secrets, func(word string) bool {
		before, ends := strings.CutSuffix(key, word)
		return ends && (before == "" || strings.HasSuffix(before, "_"))
	})
}
