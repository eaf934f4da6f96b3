//go:build ignore

// It adds the IDs to the record, also where a group is open. Then they stand inside of
// it, as order.trace_id in one line and upstream.trace_id in the next, and who searches
// for a trace finds half of it.
//
//workshop:caught-by TestGroups/the_ids_stand_outside_of_it
//workshop:says does not know what groups were open
package structlog

import (
	"context"
	"log/slog"
	"slices"
)

func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	extra := ids(ctx)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(redact(a))
		if !h.grouped {
			extra = slices.DeleteFunc(extra, func(id slog.Attr) bool { return id.Key == a.Key })
		}
		return true
	})
	out.AddAttrs(extra...)
	return h.next.Handle(ctx, out)
}
