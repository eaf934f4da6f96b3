//go:build ignore

// It reads the field into a map, and a coding that is listed twice has the weight
// of the second. But the first counts: here that is the one that refuses gzip.
//
//workshop:caught-by TestField/counts_the_first_of_two
//workshop:says the first counts, and that refuses it
package acceptencoding

import "strings"

func weight(lines []string, coding string) (q int, listed bool) {
	weights := map[string]int{}
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if name, n, ok := parse(element); ok {
			weights[name] = n
		}
	}
	if q, listed = weights[coding]; !listed {
		q, listed = weights["*"]
	}
	return q, listed
}
