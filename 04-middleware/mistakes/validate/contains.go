//go:build ignore

// It looks for the words application/json anywhere in the line. They can also stand in a
// parameter of text/plain, and that is what a browser sends to another site without
// asking it first. So any page could order in the name of who looks at it.
//
//workshop:caught-by TestUnderstood/refuses_a_type_that_hides_another
//workshop:says the words only stand in the line
package validate

import (
	"strings"
)

func Understood(lines []string, types []string) bool {
	if len(lines) != 1 {
		return false
	}
	line := strings.ToLower(lines[0])
	if _, charset, said := strings.Cut(line, "charset="); said && strings.Trim(charset, `"`) != "utf-8" {
		return false
	}
	for _, t := range types {
		if strings.Contains(line, t) {
			return true
		}
	}
	return false
}
