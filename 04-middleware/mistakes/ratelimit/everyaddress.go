//go:build ignore

// It takes each IPv6 address for a client. But a customer gets 2^64 of them or
// more, and can use a new one for every request, each with a bucket that is
// full.
//
//workshop:caught-by TestKey/an_IPv6_client_is_a_network_of_64_bits
//workshop:says may take a new one for every request
package ratelimit

import "net/netip"

func Key(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	client, _ := addr.Prefix(addr.BitLen())
	return client
}
