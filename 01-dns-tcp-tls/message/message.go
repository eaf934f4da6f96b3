// Package message reads a DNS message out of its bytes. It is the plumbing
// around dnsname: the counts and fixed fields that stand between the names.
//
// Source: RFC 1035 §4.1; AAAA RFC 3596.
package message

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/solution/dnsname"
)

// Parse reads msg. The error wraps dns.ErrMalformed, and beside it stands what
// was read before the fault. A message that says of itself that it is truncated
// may end anywhere behind its header: a fault there is no error, and what was
// whole before it is kept. The result shares no memory with msg.
func Parse(msg []byte) (dns.Message, error) {
	var m dns.Message
	if len(msg) < 12 {
		return m, fmt.Errorf("message: %d octets are less than a header: %w", len(msg), dns.ErrMalformed)
	}
	flags := binary.BigEndian.Uint16(msg[2:])
	m.Header = dns.Header{
		ID:                 binary.BigEndian.Uint16(msg),
		Response:           flags&(1<<15) != 0,
		Authoritative:      flags&(1<<10) != 0,
		Truncated:          flags&(1<<9) != 0,
		RecursionDesired:   flags&(1<<8) != 0,
		RecursionAvailable: flags&(1<<7) != 0,
		RCode:              dns.RCode(flags & 0xF),
		QDCount:            binary.BigEndian.Uint16(msg[4:]),
		ANCount:            binary.BigEndian.Uint16(msg[6:]),
		NSCount:            binary.BigEndian.Uint16(msg[8:]),
		ARCount:            binary.BigEndian.Uint16(msg[10:]),
	}
	r := reader{msg: msg, off: 12}
	for range m.QDCount {
		q := r.question()
		if r.err != nil {
			break
		}
		m.Questions = append(m.Questions, q)
	}
	for _, section := range []struct {
		count   uint16
		records *[]dns.Record
	}{{m.ANCount, &m.Answers}, {m.NSCount, &m.Authorities}, {m.ARCount, &m.Additionals}} {
		for range section.count {
			rr := r.record()
			if r.err != nil {
				break // a count is a claim: what is not there cannot be read
			}
			*section.records = append(*section.records, rr)
		}
	}
	if r.err != nil && !m.Truncated {
		return m, r.err
	}
	return m, nil
}

// reader walks a message. After the first fault it reads nothing more.
type reader struct {
	msg []byte
	off int
	err error
}

func (r *reader) question() dns.Question {
	return dns.Question{
		Name:  r.name(),
		Type:  dns.Type(r.uint16()),
		Class: dns.Class(r.uint16()),
	}
}

func (r *reader) record() dns.Record {
	rr := dns.Record{
		Name:  r.name(),
		Type:  dns.Type(r.uint16()),
		Class: dns.Class(r.uint16()),
		TTL:   r.seconds(),
	}
	length := int(r.uint16())
	end := r.off + length
	if end > len(r.msg) {
		r.fail("the data of a record ends at %d, the message at %d", end, len(r.msg))
	}
	if r.err != nil {
		return rr
	}
	switch rr.Type {
	case dns.TypeA, dns.TypeAAAA:
		addr, ok := netip.AddrFromSlice(r.msg[r.off:end])
		if !ok || addr.Is4() != (rr.Type == dns.TypeA) {
			r.fail("%d octets of address in a record of type %s", end-r.off, rr.Type)
		}
		rr.Addr = addr
		r.off = end
	case dns.TypeCNAME, dns.TypeNS:
		rr.Target = r.name()
	case dns.TypeSOA:
		r.name()    // the primary server
		r.name()    // the mailbox of whoever answers for the zone
		r.off += 16 // serial, refresh, retry, expire
		rr.Minimum = r.seconds()
	default:
		r.off = end
	}
	if r.off != end {
		r.fail("the data of a record of type %s ends at %d, its length says %d", rr.Type, r.off, end)
	}
	return rr
}

func (r *reader) name() string {
	if r.err != nil {
		return ""
	}
	name, next, err := dnsname.Read(r.msg, r.off)
	if err != nil {
		r.err = fmt.Errorf("message: %w", err) // says already that it is malformed
		return ""
	}
	r.off = next
	return name
}

func (r *reader) uint16() uint16 {
	b := r.take(2)
	return uint16(b[0])<<8 | uint16(b[1])
}

// seconds reads a 32-bit TTL. One with the top bit set counts as zero (RFC 2181 §8).
func (r *reader) seconds() time.Duration {
	n := binary.BigEndian.Uint32(r.take(4))
	if n > math.MaxInt32 {
		n = 0
	}
	return time.Duration(n) * time.Second
}

// take returns the next n octets, at most 4, or zeros once there was a fault.
func (r *reader) take(n int) []byte {
	if r.err == nil && r.off+n > len(r.msg) {
		r.fail("it ends at %d, in the middle of a record", len(r.msg))
	}
	if r.err != nil {
		return make([]byte, 4)[:n]
	}
	r.off += n
	return r.msg[r.off-n : r.off]
}

// fail notes the first fault.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("message: "+format+": %w", append(args, dns.ErrMalformed)...)
	}
}
