//go:build ignore

// It lets anything stand where the star is. In https://evil.test/.shop.test, the
// host is evil.test, and what looks like the shop's domain is a path.
//
//workshop:caught-by TestMatch/lets_a_star_stand_for_labels_only
//workshop:says the star stands for labels
package cors

import "strings"

func Match(pattern, origin string) bool {
	front, back, wildcard := strings.Cut(pattern, "*")
	if !wildcard || pattern == "*" {
		return wildcard || origin == pattern
	}
	return len(origin) > len(front)+len(back) && strings.HasPrefix(origin, front) && strings.HasSuffix(origin, back)
}
