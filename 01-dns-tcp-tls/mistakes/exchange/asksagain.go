//go:build ignore

// It writes the query at each turn of the loop. For each datagram of noise the
// server then gets another query: whoever sends the noise decides how many.
//
//workshop:caught-by TestExchange/asks_once_whatever_comes_back
//workshop:says Is the Write inside the loop?
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
	buf := make([]byte, 1<<16)
	for {
		if _, err := conn.Write(query); err != nil {
			return nil, err
		}
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if isReply(query, buf[:n]) {
			return buf[:n], nil
		}
	}
}
