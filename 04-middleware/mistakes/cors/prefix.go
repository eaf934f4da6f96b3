//go:build ignore

// It compares how the origin begins. But https://shop.test.evil.test begins with
// https://shop.test, and belongs to whoever owns evil.test.
//
//workshop:caught-by TestMatch/keeps_names_apart_that_begin_alike
//workshop:says whoever owns evil.test
package cors

import "strings"

func Match(pattern, origin string) bool {
	front, back, wildcard := strings.Cut(pattern, "*")
	if !wildcard || pattern == "*" {
		return wildcard || strings.HasPrefix(origin, pattern)
	}
	rest, ok := strings.CutPrefix(origin, front)
	labels, ends := strings.CutSuffix(rest, back)
	if !ok || !ends {
		return false
	}
	for label := range strings.SplitSeq(labels, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}
