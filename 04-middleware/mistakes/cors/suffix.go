//go:build ignore

// It compares how the host ends. So does the name of whoever buys evil-
// shop.test, whose scripts then read what your users see. The dot in front of
// the domain is what makes the difference.
//
//workshop:caught-by TestMatch/ends_a_star_at_a_dot
//workshop:says anybody can buy evil-shop.test
package cors

import "strings"

func Match(pattern, origin string) bool {
	scheme, domain, wildcard := strings.Cut(pattern, "*.")
	if pattern == "*" || !wildcard {
		return pattern == "*" || origin == pattern
	}
	return strings.HasPrefix(origin, scheme) && strings.HasSuffix(origin, domain) && origin != scheme+domain && origin != scheme+"."+domain
}
