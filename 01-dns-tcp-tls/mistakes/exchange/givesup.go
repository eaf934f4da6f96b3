//go:build ignore

// It checks the first datagram, and gives up when that is not the reply. Then
// anyone who sends a wrong one first can keep the right one from being read.
//
//workshop:caught-by TestExchange/passes_over_a_reply_with_another_ID
//workshop:says passed over, and the wait goes on
package exchange

import (
	"context"
	"net/netip"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func byUDP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := connect(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	if !isReply(query, buf[:n]) {
		return nil, dns.ErrMismatch
	}
	return buf[:n], nil
}
