package replica

import (
	"fmt"
	"net/netip"
	"strings"
)

// List is text's words, with commas or spaces between them.
func List(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// Prefixes are those that text lists, as in 127.0.0.1/32. Its error is about
// TRUSTED_PROXIES, where such a list comes from.
func Prefixes(text string) (all []netip.Prefix, err error) {
	for _, word := range List(text) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES: %w: write a single address as 192.0.2.1/32", err)
		}
		all = append(all, p)
	}
	return all, nil
}
