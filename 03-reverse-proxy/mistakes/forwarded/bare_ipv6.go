//go:build ignore

// It writes an IPv6 address into Forwarded as it is. But there a colon comes
// before a port, and no value with a colon may stand without quotes.
//
//workshop:caught-by TestForwarded/has_IPv6_in_brackets_and_quotes
//workshop:says Without brackets, the last group of an IPv6 address could be a port
package forwarded

import "net/netip"

func node(a netip.Addr) string { return a.String() }
