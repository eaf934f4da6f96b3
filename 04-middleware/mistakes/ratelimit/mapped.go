//go:build ignore

// It does not unmap the address. An IPv4 client may show as ::ffff:192.0.2.7,
// and as an IPv6 address this lies in one network of 64 bits with all of IPv4,
// which then shares one bucket.
//
//workshop:caught-by TestKey/an_IPv4_address_in_IPv6_form_is_the_IPv4_address
//workshop:says all of IPv4 lies in one network
package ratelimit

import "net/netip"

func Key(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	client, _ := addr.Prefix(bits)
	return client
}
