//go:build ignore

// It asks a value for its kind before it has asked it what it is. A LogValuer is no
// group yet: it becomes one behind, where nobody redacts any more.
//
//workshop:caught-by TestHandle/redacts_what_a_log_valuer_shows
//workshop:says what it is shows only when it is asked
package structlog

import (
	"log/slog"
	"slices"
)

func redact(a slog.Attr) slog.Attr {
	if secret(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	if a.Value.Kind() != slog.KindGroup {
		return a
	}
	members := slices.Clone(a.Value.Group())
	for i, m := range members {
		members[i] = redact(m)
	}
	a.Value = slog.GroupValue(members...)
	return a
}
