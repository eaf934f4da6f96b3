//go:build ignore

// It waits on a socket that is open to all, and does not look where a datagram
// comes from. A connected socket shows only what the server's address sent.
//
//workshop:caught-by TestExchange/passes_over_datagrams_from_elsewhere
//workshop:says came from another port than the server's
package exchange

import (
	"context"
	"net"
	"net/netip"
	"time"
)

func byUDP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := conn.WriteToUDPAddrPort(query, server); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return nil, err
		}
		if isReply(query, buf[:n]) {
			return buf[:n], nil
		}
	}
}
