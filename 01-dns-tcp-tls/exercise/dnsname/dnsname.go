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
	// TODO(dnsname): Walk the labels from off on: a length octet, then that many octets of text.
	// A length of zero ends the name. Two set top bits mean that the name goes on
	// elsewhere: at the offset in the other 14 bits. Remember where the message goes
	// on behind the name, and make sure that this loop ends whatever msg holds.
	// The reference imports, besides what stands above: "bytes", "clicktocode.example/01-dns-tcp-tls/dns", "encoding/binary", "fmt".
	return "", 0, nil
}
