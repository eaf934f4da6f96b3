//go:build ignore

// It takes every type that ends in +json for application/json. Their text is JSON, but
// they mean something else: application/merge-patch+json says what to change in an order,
// and would be read as one.
//
//workshop:caught-by TestUnderstood/refuses_what_is_only_like_it
//workshop:says it is like application/json, but another type
package validate

import (
	"mime"
	"slices"
	"strings"
)

func Understood(lines []string, types []string) bool {
	if len(lines) != 1 {
		return false
	}
	name, parameters, err := mime.ParseMediaType(lines[0])
	if err != nil {
		return false
	}
	if charset, said := parameters["charset"]; said && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return slices.Contains(types, name) || strings.HasSuffix(name, "+json")
}
