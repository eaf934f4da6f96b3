// Package exchange carries a query to a server and brings the reply back.
//
// It asks by UDP: one datagram there, one back. Datagrams get lost, and anyone
// can send one, with any sender's address on it. A reply that does not fit its
// datagram comes with the flag TC and is asked for again by TCP, where a
// message is a part of a stream of bytes: two octets with its length stand
// before it.
//
// One call is one attempt at one server. To try again, or elsewhere, is the
// caller's business: see package resolver.
//
// Source: RFC 1035 §4.2; RFC 5452 §9 (spoofed replies); RFC 7766 (DNS by TCP).
package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

// Timeout is how long an attempt takes at most, TCP included. The context's
// deadline counts when it is sooner.
const Timeout = time.Second

// Exchange asks server once, and returns its reply. The query is a whole
// message with one question, as query.Build writes it; it is not changed. The
// reply is the caller's: complete, however long its datagram was, or with TC set
// if even by TCP the server cut it. It carries the query's ID and question, and
// is otherwise unchecked.
//
// Datagrams that are not the reply (from elsewhere, with another ID, to
// another question, or queries themselves) are passed over, and the wait goes
// on. By TCP, such a message is an error that wraps dns.ErrMismatch.
//
// When ctx ends, Exchange returns at once, and the error wraps ctx.Err(). When
// the time is up, errors.As finds a net.Error whose Timeout method says true.
// Any other error is the network's: nobody listens there, say. Nothing that
// Exchange opened or started is left when it returns. It may be called by many
// at once.
func Exchange(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	//workshop:begin return nil, nil
	//workshop:todo Give ctx an end, Timeout from now. Then connect by "udp", write the query, and
	//workshop:todo read datagrams until one isReply. If flagTC is set in its third octet, ask again:
	//workshop:todo connect by "tcp", write the query behind its length, and read the same way.
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	reply, err := byUDP(ctx, server, query)
	if err == nil && reply[2]&flagTC != 0 {
		reply, err = byTCP(ctx, server, query)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // the socket knows that its deadline passed, ctx knows why
	}
	if err != nil {
		return nil, fmt.Errorf("exchange: %s: %w", server, err)
	}
	return reply, nil
	//workshop:end
}

// byUDP sends the query in a datagram, and waits for the one that answers it.
//
//workshop:omit
func byUDP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := connect(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16) // of a longer datagram the end would be lost without a word
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		// Who gives up on a wrong datagram can be kept from the right one by
		// anyone who sends a wrong one first.
		if isReply(query, buf[:n]) {
			return buf[:n:n], nil
		}
	}
}

// byTCP sends the query through a stream, where its length says how far it goes.
//
//workshop:omit
func byTCP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := connect(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	msg := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	// In one write: some servers take the first segment for the whole (RFC 7766 §8).
	if _, err := conn.Write(append(msg, query...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil { // one Read may bring one octet
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, err
	}
	if !isReply(query, reply) {
		return nil, fmt.Errorf("by TCP: %w", dns.ErrMismatch)
	}
	return reply, nil
}

// flagTC is the bit of a message's third octet that says: there is more than
// fits here (RFC 1035 §4.1.1).
const flagTC = 0x02

// isReply reports whether msg is the reply to query: a response, with the same
// ID, to the same question. Whoever cannot see the query has to guess all of
// that, and the port that it came from (RFC 5452 §9.1). It looks no further than
// the question, which stands behind the header of both as it was asked.
func isReply(query, msg []byte) bool {
	const header = 12
	name := header // on its way to the zero that ends the name
	for name < len(query) && query[name] != 0 {
		name += 1 + int(query[name])
	}
	end := name + 1 + 4 // behind type and class
	if end > len(query) || end > len(msg) {
		return false
	}
	const flagQR = 0x80
	return bytes.Equal(msg[:2], query[:2]) && // the ID
		msg[2]&flagQR != 0 &&
		bytes.Equal(msg[4:6], query[4:6]) && // how many questions
		dns.SameName(string(msg[header:name]), string(query[header:name])) &&
		bytes.Equal(msg[name:end], query[name:end])
}

// connect opens a connection to server by network, "udp" or "tcp". When ctx
// ends, so does every wait for the connection or on it. The caller closes it.
//
// By UDP nothing is sent yet; but the system then drops what comes from any
// other address than server's.
func connect(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	// A deadline in the past wakes whoever waits, at a cancellation too.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return &conn{c, stop}, nil
}

// conn is a connection that stops watching its context when it is closed.
type conn struct {
	net.Conn
	stop func() bool
}

func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}
