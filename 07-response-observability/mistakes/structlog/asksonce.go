//go:build ignore

// It asks a LogValuer for its value, once. That may be a LogValuer again, and the group
// with the secret in it comes only behind the second one.
//
//workshop:caught-by TestHandle/redacts_what_a_log_valuer_shows
//workshop:says until there is nothing left to ask
package structlog

import (
	"log/slog"
	"slices"
)

func redact(a slog.Attr) slog.Attr {
	if secret(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	v := a.Value
	if v.Kind() == slog.KindLogValuer {
		v = v.LogValuer().LogValue()
	}
	if v.Kind() != slog.KindGroup {
		return a
	}
	members := slices.Clone(v.Group())
	for i, m := range members {
		members[i] = redact(m)
	}
	return slog.Attr{Key: a.Key, Value: slog.GroupValue(members...)}
}
