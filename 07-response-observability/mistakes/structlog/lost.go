//go:build ignore

// Its WithAttrs returns the logger as it was. Everything that a logger was given by
// With, its role, its shard, is in none of its lines.
//
//workshop:caught-by TestWithAttrs/keeps_what_a_logger_was_given
//workshop:says each line of that logger has both
package structlog

import "log/slog"

func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		redact(a)
	}
	return h
}
