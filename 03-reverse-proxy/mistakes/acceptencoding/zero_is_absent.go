//go:build ignore

// It looks the weight up in a map, and takes the 0 of what is not in there for the 0 of
// what is refused. So "*" speaks for gzip, too, which the client has refused in so many
// words, and gets.
//
//workshop:caught-by TestStar/is_not_for_those_that_are_listed
//workshop:says listed, and refused
package acceptencoding

import "strings"

func Choose(lines []string, offers []string) (coding string, ok bool) {
	weights := map[string]int{}
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			name, q, ok := parse(element)
			if _, again := weights[name]; ok && !again {
				weights[name] = q
			}
		}
	}
	coding, best := Identity, 0
	for _, offer := range append(append([]string(nil), offers...), Identity) {
		q := weights[offer]
		if q == 0 {
			q = weights["*"]
		}
		if q > best {
			coding, best = offer, q
		}
	}
	_, listed := weights[Identity]
	_, star := weights["*"]
	return coding, best > 0 || !listed && !star
}
