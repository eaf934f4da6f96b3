//go:build ignore

// It keeps the handler that atTop has made, since it was dear. The IDs of the request
// that came first are in it, and stand in the lines of all that come later.
//
//workshop:caught-by TestGroups/each_line_has_the_ids_of_its_own_request
//workshop:says is for its record alone
package structlog

import (
	"context"
	"log/slog"
	"slices"
	"sync"
)

var tops sync.Map

func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	var own []string
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		own = append(own, a.Key)
		out.AddAttrs(redact(a))
		return true
	})
	if h.grouped {
		top, _ := tops.LoadOrStore(h, h.atTop(ids(ctx)))
		return top.(slog.Handler).Handle(ctx, out)
	}
	for _, id := range ids(ctx) {
		if !slices.Contains(own, id.Key) {
			out.AddAttrs(id)
		}
	}
	return h.next.Handle(ctx, out)
}
