// Package query writes a DNS query: one question, as the bytes that go into a
// datagram, a single packet by UDP. (RFC 1035 calls a byte an octet.)
//
// A query for the addresses of shop.test. is 27 bytes long:
//
//	 0  30 39                 ID, 12345: the reply carries the same
//	 2  01 00                 flags: RD, "recursion desired", and nothing else
//	 4  00 01 00 00 00 00 00 00   how many questions, answers, authorities, additionals
//	12  04 s h o p            a label behind its length
//	17  04 t e s t
//	22  00                    the root: the name ends
//	23  00 01                 type A
//	25  00 01                 class IN
//
// Numbers stand with their high byte first (network byte order).
//
// Source: RFC 1035 §4.1.1 and §4.1.2; limits §2.3.4.
package query

import (
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

// Build returns a query with the given ID and RD set that asks q and nothing
// else. The slice is the caller's; beside an error it is empty.
//
// The trailing dot of q.Name may be missing: "shop.test" and "shop.test." make
// the same query; "." is the root. Letters keep their case, and all other
// bytes are written as they are: a name beyond ASCII comes in its ASCII form
// (RFC 5890). Type and class, too, are written as they are, also when they are
// zero.
//
// The error wraps dns.ErrMalformed when q.Name is empty, holds an empty label
// ("shop..test", ".test", "test..") or one of over dns.MaxLabel bytes, or
// takes more than dns.MaxName bytes on the wire, length bytes and the root's
// zero included.
func Build(id uint16, q dns.Question) ([]byte, error) {
	//workshop:begin return nil, nil
	//workshop:todo Write the header of twelve bytes: the ID, the flags, then four counts.
	//workshop:todo Then the question: each label behind its length, a zero, type and class.
	//workshop:todo What does not fit a length byte, or the limits in package dns, is an error.
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 0x01, 0x00) // a server drops what has QR set: that is a reply
	msg = append(msg, 0, 1, 0, 0, 0, 0, 0, 0)

	start := len(msg)
	if q.Name != "." {
		for label := range strings.SplitSeq(strings.TrimSuffix(q.Name, "."), ".") {
			if len(label) == 0 || len(label) > dns.MaxLabel {
				// An empty label would end the name here, one of 192 bytes
				// would be read as a pointer: the server sees another name.
				return nil, fmt.Errorf("query: name %q: a label of %d bytes, want 1 to %d: %w", q.Name, len(label), dns.MaxLabel, dns.ErrMalformed)
			}
			msg = append(msg, byte(len(label)))
			msg = append(msg, label...)
		}
	}
	msg = append(msg, 0)
	if n := len(msg) - start; n > dns.MaxName {
		return nil, fmt.Errorf("query: name %q: %d bytes on the wire, want at most %d: %w", q.Name, n, dns.MaxName, dns.ErrMalformed)
	}

	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Type))
	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Class))
	return msg, nil
	//workshop:end
}
