//go:build ignore

// It looks at the flag TC before it knows that the datagram is the reply. So
// anyone can send it away to TCP, where perhaps nobody answers: only the flags
// of the reply mean something.
//
//workshop:caught-by TestExchange/passes_over_a_truncated_reply_to_another_question
//workshop:says whatever comes before it is passed over
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
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if n > 2 && buf[2]&flagTC != 0 {
			return buf[:n], nil
		}
		if isReply(query, buf[:n]) {
			return buf[:n], nil
		}
	}
}
