//go:build ignore

// One range that holds the type is enough for it. But a client can take a type out of a
// range: of "*/*, application/json;q=0" the second, which is more exact, decides.
//
//workshop:caught-by TestAcceptable/believes_the_range_that_is_most_exact
//workshop:says the most exact range
package validate

import (
	"strings"
)

func Acceptable(lines []string, types []string) bool {
	listed := false
	for _, t := range types {
		family, _, _ := strings.Cut(t, "/")
		for name, q := range ranges(lines) {
			listed = true
			if q > 0 && (name == t || name == family+"/*" || name == "*/*") {
				return true
			}
		}
	}
	return !listed
}
