//go:build ignore

// It adds the IDs without a look at what is there. A line that names its request itself has
// two fields of one name then, and each reader takes another one, or neither.
//
//workshop:caught-by TestHandle/adds_no_request_id_that_the_line_has_already
//workshop:says two fields of one name
package structlog

import (
	"context"
	"log/slog"
)

func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(redact(a))
		return true
	})
	if h.grouped {
		return h.atTop(ids(ctx)).Handle(ctx, out)
	}
	out.AddAttrs(ids(ctx)...)
	return h.next.Handle(ctx, out)
}
