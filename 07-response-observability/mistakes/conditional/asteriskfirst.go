//go:build ignore

// It asks only how the field begins, or whether one of its lines is an asterisk. But
// "*" is a whole field: in a list it is malformed, and a list with a fault in it must
// not let a change through that its sound part refuses.
//
//workshop:caught-by TestIfMatch/the_asterisk_stands_alone
//workshop:says also where it has a line of its own
package conditional

import (
	"slices"
	"strings"
)

func find(lines, tags []string, comparable func(listed string) string) (found string) {
	list := strings.Join(lines, ",")
	if (strings.HasPrefix(list, "*") || slices.Contains(lines, "*")) && len(tags) > 0 {
		return tags[0]
	}
	for listed, rest := cut(list); listed != ""; listed, rest = cut(rest) {
		if slices.Contains(tags, comparable(listed)) {
			return listed
		}
	}
	return ""
}
