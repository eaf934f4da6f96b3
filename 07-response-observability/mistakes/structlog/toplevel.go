//go:build ignore

// It looks at the keys of a line, and not into its groups. The header of a request is
// logged as a group, and that is where the token is.
//
//workshop:caught-by TestHandle/redacts_a_secret_in_a_group
//workshop:says however deep it lies
package structlog

import "log/slog"

func redact(a slog.Attr) slog.Attr {
	if secret(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	return a
}
