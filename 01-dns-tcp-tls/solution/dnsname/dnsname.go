// Package dnsname reads a name out of a DNS message.
//
// A name is a run of labels, each behind an octet that gives its length; a
// length of zero ends it. So that a message need not repeat itself, the rest
// of a name may be a pointer: two octets, of which the top two bits are set
// and the other fourteen say where in the message the name goes on. Whoever
// writes the message chooses where that is, and may not be a friend.
//
// Source: RFC 1035 §3.1 and §4.1.4.
package dnsname

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

// Read returns the name that starts at msg[off], with its trailing dot, and
// the offset of the first octet behind it: where the next field of the
// message starts. Behind a pointer that is behind the pointer's two octets,
// wherever it pointed.
//
// The error wraps dns.ErrMalformed when the name runs past the end of msg (off,
// which is never negative, may lie there), is longer than dns.MaxName octets on
// the wire, holds a reserved length (top bits 01 or 10), has a dot inside a
// label, or goes round in circles. The root adds no dot behind a label. A pointer
// names a prior occurrence of the name (§4.1.4), so one that leads forward may
// be refused, too; or it may be followed, as some readers do. Either way, Read
// returns after a bounded number of steps whatever msg holds.
func Read(msg []byte, off int) (name string, next int, err error) {
	//workshop:begin return "", 0, nil
	//workshop:todo Walk the labels from off on: a length octet, then that many octets of text.
	//workshop:todo A length of zero ends the name. Two set top bits mean that the name goes on
	//workshop:todo elsewhere: at the offset in the other 14 bits. Remember where the message goes
	//workshop:todo on behind the name, and make sure that this loop ends whatever msg holds.
	text := make([]byte, 0, dns.MaxName)
	start := off // of the run of labels that is being read
	for at := off; 0 <= at && at < len(msg); {
		switch n := int(msg[at]); {
		case n == 0:
			if next == 0 {
				next = at + 1
			}
			if len(text) == 0 {
				return ".", next, nil
			}
			return string(text), next, nil

		case n <= dns.MaxLabel && at+1+n <= len(msg):
			label := msg[at+1 : at+1+n]
			if bytes.IndexByte(label, '.') >= 0 {
				// As text, the label "a.b" would be mistaken for two labels.
				return "", 0, fmt.Errorf("dnsname: dot inside the label %q: %w", label, dns.ErrMalformed)
			}
			if len(text)+1+n+1 > dns.MaxName { // with this label and the root's zero
				return "", 0, fmt.Errorf("dnsname: name of over %d octets: %w", dns.MaxName, dns.ErrMalformed)
			}
			text = append(append(text, label...), '.')
			at += 1 + n

		case n >= 0xC0 && at+2 <= len(msg):
			if next == 0 {
				next = at + 2
			}
			target := int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			if target >= start {
				// Not before the pointer: before the run of labels that led to it.
				// Then every jump lands before the last one did, and no circle is left.
				return "", 0, fmt.Errorf("dnsname: pointer at %d to %d does not lead back: %w", at, target, dns.ErrMalformed)
			}
			at, start = target, target

		default:
			return "", 0, fmt.Errorf("dnsname: length octet %#02x at %d: reserved, or past the end: %w", n, at, dns.ErrMalformed)
		}
	}
	return "", 0, fmt.Errorf("dnsname: name at %d runs past the end of the message: %w", off, dns.ErrMalformed)
	//workshop:end
}
