//go:build ignore

// It redacts what a line says, and not what its logger was given before. A logger that
// was made with a key writes it into each line from there on.
//
//workshop:caught-by TestWithAttrs/redacts_what_a_logger_was_given
//workshop:says it would stand in each line from there on
package structlog

import "log/slog"

func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}
