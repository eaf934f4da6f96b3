//go:build ignore

// It reads the first line of the field, as http.Header's Get does. A list may
// stand on several lines, and all of them count.
//
//workshop:caught-by TestField/has_several_lines
//workshop:says A list may stand on several lines
package acceptencoding

import "strings"

func weight(lines []string, coding string) (q int, listed bool) {
	if len(lines) == 0 {
		return 0, false
	}
	for element := range strings.SplitSeq(lines[0], ",") {
		switch name, n, ok := parse(element); {
		case !ok:
		case name == coding:
			return n, true
		case name == "*" && !listed:
			q, listed = n, true
		}
	}
	return q, listed
}
