//go:build ignore

// It looks for the tag's letters anywhere in the field. The suffix of an edge takes
// care of itself that way. But version 7 is found in "17", and is never sent to who has
// that one.
//
//workshop:caught-by TestIfNoneMatch/a_part_of_a_tag_is_no_tag
//workshop:says whose tag only holds these letters
package conditional

import "strings"

func find(lines, tags []string, comparable func(listed string) string) (found string) {
	list := strings.Join(lines, ",")
	for _, tag := range tags {
		if list == "*" || strings.Contains(list, strings.Trim(tag, `"`)) {
			return tag
		}
	}
	return ""
}
