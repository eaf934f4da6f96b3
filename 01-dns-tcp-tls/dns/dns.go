// Package dns is the contract of the name look-ups in chapter 1: the types
// that a question and its answer are made of, and the errors that all parts
// agree on. It does no work itself.
//
// A look-up takes this path: query writes the question as bytes, exchange
// carries them to a server and brings a reply back, message reads the reply
// (names by dnsname), answer finds the addresses in it, and dnscache remembers
// them. In the story, the customer asks where the restaurant is.
//
// A name is text, absolute, with its trailing dot and without escapes:
// "shop.test."; the root is ".". Letter case is kept as it came and does not
// count when names are compared (RFC 4343): see [SameName].
//
// Source: RFC 1034, RFC 1035; negative answers RFC 2308.
package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Limits of a name on the wire, in octets (RFC 1035 §2.3.4).
const (
	MaxLabel = 63  // one label, without its length octet
	MaxName  = 255 // a whole name, length octets and the root's zero included
)

// Errors of a look-up. They arrive wrapped: use errors.Is.
var (
	// ErrMalformed: these bytes are not a DNS message, or this text is not a name.
	ErrMalformed = errors.New("malformed")
	// ErrMismatch: a reply to some other question than the one asked.
	ErrMismatch = errors.New("reply to another question")
	// ErrTruncated: the reply did not fit, and only a part of it is here.
	ErrTruncated = errors.New("truncated reply")
	// ErrNoSuchName: the name does not exist (NXDOMAIN), whatever the type.
	ErrNoSuchName = errors.New("no such name")
	// ErrNoData: the name exists, but has no record of the type asked for.
	ErrNoData = errors.New("no record of that type")
	// ErrServerFailure: the server could not or would not answer. Another
	// server may, so this says nothing about the name.
	ErrServerFailure = errors.New("server failure")
)

// Type says what kind of fact a record holds (RFC 1035 §3.2.2).
type Type uint16

// The types that this workshop reads. Others pass through as numbers.
const (
	TypeA     Type = 1  // an IPv4 address
	TypeNS    Type = 2  // a zone's name server
	TypeCNAME Type = 5  // "the real name is …"
	TypeSOA   Type = 6  // the start of a zone; carries the TTL of "no"
	TypeAAAA  Type = 28 // an IPv6 address (RFC 3596)
)

// String is the type's name as dig prints it, or TYPE and its number (RFC 3597 §5).
func (t Type) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypeNS:
		return "NS"
	case TypeCNAME:
		return "CNAME"
	case TypeSOA:
		return "SOA"
	case TypeAAAA:
		return "AAAA"
	}
	return fmt.Sprintf("TYPE%d", uint16(t))
}

// Class is the network that a record belongs to. Only the Internet is left.
type Class uint16

// ClassINET is the Internet, "IN".
const ClassINET Class = 1

// RCode is how the server says that things went (RFC 1035 §4.1.1).
type RCode uint8

// The response codes of RFC 1035.
const (
	RCodeSuccess        RCode = 0
	RCodeFormatError    RCode = 1
	RCodeServerFailure  RCode = 2 // SERVFAIL
	RCodeNameError      RCode = 3 // NXDOMAIN
	RCodeNotImplemented RCode = 4
	RCodeRefused        RCode = 5
)

// Header is the first twelve octets of a message (RFC 1035 §4.1.1).
type Header struct {
	ID                 uint16
	Response           bool // QR
	Authoritative      bool // AA
	Truncated          bool // TC
	RecursionDesired   bool // RD
	RecursionAvailable bool // RA
	RCode              RCode

	// What the message claims to hold, section by section. A claim: a
	// truncated message holds less.
	QDCount, ANCount, NSCount, ARCount uint16
}

// Question is what is asked: a name and the type of record wanted.
type Question struct {
	Name  string
	Type  Type
	Class Class
}

// String is the question as dig prints it: "shop.test. IN A".
func (q Question) String() string {
	class := "IN"
	if q.Class != ClassINET {
		class = fmt.Sprintf("CLASS%d", uint16(q.Class))
	}
	return fmt.Sprintf("%s %s %s", q.Name, class, q.Type)
}

// Record is one fact about a name. Beside the common fields, the one that
// belongs to its type is set; the others are zero.
type Record struct {
	Name  string
	Type  Type
	Class Class
	TTL   time.Duration // whole seconds; how long the fact may be remembered

	Addr    netip.Addr    // A and AAAA
	Target  string        // CNAME and NS: another name
	Minimum time.Duration // SOA: the zone's TTL for "no" (RFC 2308 §4)
}

// Message is a query or a reply, read into memory. Its slices hold what was
// in the message, which in a truncated one is less than the header claims.
type Message struct {
	Header
	Questions   []Question
	Answers     []Record
	Authorities []Record
	Additionals []Record
}

// Answer is what a caller wanted to know.
type Answer struct {
	// Addrs are the addresses found, in the server's order. Empty when the
	// look-up failed, or the server said no.
	Addrs []netip.Addr
	// TTL is how long the answer may be remembered. Beside ErrNoSuchName and
	// ErrNoData it is how long that "no" may be; zero means not at all.
	TTL time.Duration
}

// SameName reports whether a and b are one name: ASCII letters match in
// either case, and no other character is folded (RFC 4343 §3).
func SameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
