//go:build ignore

// It takes what one Read brings for the whole message. TCP carries a stream:
// it keeps the order of the bytes, and forgets how they were written. One Read
// brings what has arrived, and the rest comes later.
//
//workshop:caught-by TestExchange/reads_a_TCP_reply_that_comes_in_pieces
//workshop:says a stream has no message boundaries
package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func byTCP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := connect(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	msg := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := conn.Write(append(msg, query...)); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16+2)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	if n < 2 || n < 2+int(binary.BigEndian.Uint16(buf)) {
		return nil, io.ErrUnexpectedEOF
	}
	if !isReply(query, buf[2:n]) {
		return nil, fmt.Errorf("by TCP: %w", dns.ErrMismatch)
	}
	return buf[2:n], nil
}
