//go:build ignore

// It stops at the first element that matches, and takes "*" for a match. But "*"
// is only for what is not listed, and the coding may be listed behind it.
//
//workshop:caught-by TestStar/is_not_for_those_that_are_listed_behind_it
//workshop:says read the whole field before you decide
package acceptencoding

import "strings"

func weight(lines []string, coding string) (q int, listed bool) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if name, n, ok := parse(element); ok && (name == coding || name == "*") {
				return n, true
			}
		}
	}
	return 0, false
}
