//go:build ignore

// It redacts inside of the step, and the steps are done again with each line where a group
// is open. It asks and copies the same fields for ever, and keeps the caller's slice for it.
//
//workshop:caught-by TestWithAttrs/redacts_once_and_not_with_each_line
//workshop:says that is redacted once
package structlog

import "log/slog"

func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.then(func(next slog.Handler) slog.Handler {
		clean := make([]slog.Attr, len(attrs))
		for i, a := range attrs {
			clean[i] = redact(a)
		}
		return next.WithAttrs(clean)
	})
}
