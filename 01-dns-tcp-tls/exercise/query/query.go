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
	// TODO(query): Write the header of twelve bytes: the ID, the flags, then four counts.
	// Then the question: each label behind its length, a zero, type and class.
	// What does not fit a length byte, or the limits in package dns, is an error.
	// The reference imports, besides what stands above: "encoding/binary", "fmt", "strings".
	return nil, nil
}
