//go:build ignore

// It takes the first datagram that comes for the reply. Anyone can send one,
// with the server's address on it; without a look at the ID and the question,
// the first to guess the port decides where the customer goes.
//
//workshop:caught-by TestExchange/passes_over_a_reply_with_another_ID
//workshop:says are somebody's guess
package exchange

import (
	"context"
	"net/netip"
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
	return buf[:n], nil
}
