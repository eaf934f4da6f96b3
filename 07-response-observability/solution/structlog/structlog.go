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
// name. An empty name is no group. Where the name is that of a secret, all that comes
// later is redacted, whatever it is called.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := h.then(func(next slog.Handler) slog.Handler {
		if secret(name) {
			return hidden{next.WithGroup(name)}
		}
		return next.WithGroup(name)
	})
	with.grouped = true
	return with
}

// hidden writes what stands in a group that is a secret: the keys alone.
type hidden struct{ slog.Handler }

func (h hidden) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(hide(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h hidden) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = hide(a)
	}
	return hidden{h.Handler.WithAttrs(clean)}
}

func (h hidden) WithGroup(name string) slog.Handler { return hidden{h.Handler.WithGroup(name)} }

// hide returns a with the value Redacted. The empty Attr stays: it is not written.
func hide(a slog.Attr) slog.Attr {
	if a.Equal(slog.Attr{}) {
		return a
	}
	return slog.String(a.Key, Redacted)
}

// then is a copy of h with one step more. h itself must not change: others log by it.
func (h *Handler) then(step func(slog.Handler) slog.Handler) *Handler {
	return &Handler{next: step(h.next), root: h.root, steps: append(slices.Clip(h.steps), step), grouped: h.grouped}
}

// WithAttrs implements slog.Handler: each line from here on has attrs, too, in the
// group that is open. They are redacted once, here, and not with every line. h
// itself stays as it is.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	//workshop:begin return h
	//workshop:todo Redact each of them. Then h.then.
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redact(a)
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(slices.Clone(clean)) }) // next owns what it gets, and comes more than once
	//workshop:end
}

// Handle implements slog.Handler: it gives next a record with r's time, level,
// message and place in the source, whose attributes are r's, redacted, and behind
// them the IDs that ctx holds (see ids). IDs stand at the top of the line whatever
// groups are open, where everyone who searches looks for them (see atTop). Next gets
// ctx, too, and its error is returned.
//
// Without an open group, an ID that r itself has under the same key is not added again.
// In a group, r's is another field, and the ID is added. One that was given by With, or
// that lies in a group of r's, is not looked for.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	//workshop:begin return h.next.Handle(ctx, r)
	//workshop:todo Make a record (slog.NewRecord) with r's attributes redacted: those of a record
	//workshop:todo cannot be changed. Then the IDs: with a group open, atTop is the handler to
	//workshop:todo give it to; without, the record takes them.
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	extra := ids(ctx)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(redact(a))
		if !h.grouped { // two fields of one name: who reads them takes either
			extra = slices.DeleteFunc(extra, func(id slog.Attr) bool { return id.Key == a.Key })
		}
		return true
	})
	if h.grouped && len(extra) > 0 {
		return h.atTop(extra).Handle(ctx, out)
	}
	out.AddAttrs(extra...)
	return h.next.Handle(ctx, out)
	//workshop:end
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
// whatever the value is: a group, a number, or nothing. Of another group, each attribute is redacted
// likewise, however deep. A slog.LogValuer is asked for its value before that:
// behind it may stand a group. All others are as they were.
func redact(a slog.Attr) slog.Attr {
	//workshop:begin return a
	//workshop:todo A secret? Then Redacted. A group? Then each of its attributes. The value that
	//workshop:todo counts is a.Value.Resolve().
	if secret(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	a.Value = a.Value.Resolve() // a LogValuer would show what it holds only later, behind us
	if a.Value.Kind() != slog.KindGroup {
		return a
	}
	members := slices.Clone(a.Value.Group()) // the caller's, who may log it again
	for i, m := range members {
		members[i] = redact(m)
	}
	a.Value = slog.GroupValue(members...)
	return a
	//workshop:end
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
// accessToken and X-Auth-Token, but not of tokens_left.
var secrets = []string{
	"password", "passwd", "passphrase", "secret", "token", "jwt", "bearer", "authorization", "cookie",
	"api_key", "apikey", "secret_key", "private_key", "credentials", "signature",
	"card", "card_number", "cvc", "cvv", "dsn", "database_url",
}

// secret reports whether key is that of a secret. How its words are told from each
// other does not count: access_token, Access-Token, accessToken, access.token.
func secret(key string) bool {
	key = snake(key)
	return slices.ContainsFunc(secrets, func(word string) bool {
		before, ends := strings.CutSuffix(key, word)
		return ends && (before == "" || strings.HasSuffix(before, "_"))
	})
}

// snake returns key in lower case, with an underscore between its words.
func snake(key string) string {
	if !strings.ContainsAny(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-. /:") {
		return key // as most are
	}
	upper := func(i int) bool { return 'A' <= key[i] && key[i] <= 'Z' }
	lower := func(i int) bool {
		return i < len(key) && ('a' <= key[i] && key[i] <= 'z' || '0' <= key[i] && key[i] <= '9')
	}
	out := make([]byte, 0, len(key)+4)
	for i, c := range []byte(key) {
		switch {
		case upper(i):
			if i > 0 && (lower(i-1) || upper(i-1) && lower(i+1)) { // accessToken, JWTSecret
				out = append(out, '_')
			}
			c += 'a' - 'A'
		case strings.IndexByte("-. /:", c) >= 0:
			c = '_'
		}
		out = append(out, c)
	}
	return string(out)
}
