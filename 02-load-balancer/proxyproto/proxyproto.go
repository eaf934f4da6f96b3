// Package proxyproto tells a backend at layer 4 who its client is, and reads
// what a balancer tells.
//
// A balancer that joins connections (package passthrough) is itself the
// backend's client: logs, limits by address and geography all see the balancer.
// So it sends, before anything else, one header with the addresses of the
// connection that it had accepted. Version 1 of it is a line of text, version 2
// is binary. In the story, it is the note on the sealed envelope that says who
// gave it to the waiter.
//
// Anybody can write such a header. Read it only on a listener that nobody but
// the balancer can reach, and there always: never on a port that clients know.
//
// Source: "The PROXY protocol, versions 1 & 2" (Willy Tarreau, HAProxy
// Technologies, 2020), called the specification below.
package proxyproto

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// ErrHeader is the error of Read for octets that are no PROXY header, and of
// connections that do not begin with one.
var ErrHeader = errors.New("proxyproto: no PROXY header")

// Header says which connection a proxy had accepted. The zero Header says
// nothing: the connection is the sender's own, for a health check, say, and its
// real addresses hold. It says nothing, too, if either address is not valid.
type Header struct {
	Source      netip.AddrPort // the client
	Destination netip.AddrPort // where it connected to
}

const (
	maxV1 = 107  // octets with CRLF: the specification's longest line, section 2.1
	maxV2 = 4096 // octets after the first 16: addresses need 36, and the rest is not used here

	signature = "\r\n\r\n\x00\r\nQUIT\n" // section 2.2
)

// AppendV1 appends h as a line of text.
func (h Header) AppendV1(b []byte) []byte {
	source, destination, ok := h.family()
	if !ok {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	family := "TCP6"
	if source.Addr().Is4() {
		family = "TCP4"
	}
	text := func(a netip.Addr) string {
		if a.Is4In6() {
			// The standard library's ::ffff:192.0.2.1 is right and rarely seen:
			// plain groups are what every reader takes.
			p := a.As16()
			return fmt.Sprintf("::ffff:%x:%x", binary.BigEndian.Uint16(p[12:]), binary.BigEndian.Uint16(p[14:]))
		}
		return a.String()
	}
	return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", family, text(source.Addr()), text(destination.Addr()), source.Port(), destination.Port())
}

// AppendV2 appends h in binary.
func (h Header) AppendV2(b []byte) []byte {
	b = append(b, signature...)
	source, destination, ok := h.family()
	if !ok {
		return append(b, 0x20, 0x00, 0, 0) // LOCAL, of no family, nothing follows
	}
	family := byte(0x21) // TCP over IPv6
	if source.Addr().Is4() {
		family = 0x11
	}
	addresses := append(source.Addr().AsSlice(), destination.Addr().AsSlice()...)
	b = append(b, 0x21, family) // PROXY
	b = binary.BigEndian.AppendUint16(b, uint16(len(addresses)+4))
	b = append(b, addresses...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}

// family is h's addresses, both of IPv4 or both of IPv6, without zones; or not
// ok, where h says nothing.
func (h Header) family() (source, destination netip.AddrPort, ok bool) {
	if !h.Source.IsValid() || !h.Destination.IsValid() {
		return source, destination, false
	}
	s, d := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap()
	if s.Is4() != d.Is4() {
		s, d = netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16())
	}
	return netip.AddrPortFrom(s.WithZone(""), h.Source.Port()), netip.AddrPortFrom(d.WithZone(""), h.Destination.Port()), true
}

// Read reads a header, of either version, and not one octet more. What is not a
// header is an [ErrHeader], as soon as that can be told; a header that ends too
// early is an io.ErrUnexpectedEOF, and other errors of r are wrapped.
//
// UNKNOWN, LOCAL and families other than TCP over IPv4 and IPv6 give the zero
// Header. The extensions of version 2 (TLVs) must be well-formed, and are
// skipped, checksum and all. A version 2 header that announces more than 4096
// octets is refused, though the specification lets it be 65535.
func Read(r *bufio.Reader) (Header, error) {
	first, err := r.ReadByte()
	if err != nil {
		return Header{}, failed(err)
	}
	switch first {
	case 'P':
		return readV1(r)
	case signature[0]:
		return readV2(r)
	}
	return Header{}, fmt.Errorf("%w: it begins with %q", ErrHeader, first)
}

func readV1(r *bufio.Reader) (Header, error) {
	const prefix = "PROXY "
	line := []byte{prefix[0]}
	for line[len(line)-1] != '\n' {
		c, err := r.ReadByte()
		if err != nil {
			return Header{}, failed(err)
		}
		if at := len(line); at < len(prefix) && c != prefix[at] || at == maxV1 {
			return Header{}, fmt.Errorf("%w: %q", ErrHeader, append(line, c))
		}
		line = append(line, c)
	}
	text, whole := strings.CutSuffix(string(line), "\r\n")
	fields := strings.Split(text, " ")
	if whole && fields[1] == "UNKNOWN" {
		return Header{}, nil // whatever follows
	}
	bad := fmt.Errorf("%w: %q", ErrHeader, line)
	if !whole || len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return Header{}, bad
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(fields[2+i])
		if err != nil || addr.Zone() != "" || addr.Is4() != (fields[1] == "TCP4") {
			return Header{}, bad
		}
		port, err := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != fields[4+i] { // no 0080, no +80
			return Header{}, bad
		}
		ends[i] = netip.AddrPortFrom(addr, uint16(port))
	}
	return Header{ends[0], ends[1]}, nil
}

func readV2(r *bufio.Reader) (Header, error) {
	for i := 1; i < len(signature); i++ {
		c, err := r.ReadByte()
		if err != nil {
			return Header{}, failed(err)
		}
		if c != signature[i] {
			return Header{}, fmt.Errorf("%w: %q", ErrHeader, signature[:i]+string(rune(c)))
		}
	}
	var head [4]byte // version and command, family, length
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Header{}, failed(err)
	}
	length := binary.BigEndian.Uint16(head[2:])
	command := head[0] & 0x0F
	switch {
	case head[0]>>4 != 2 || command > 1:
		return Header{}, fmt.Errorf("%w: version and command %#02x", ErrHeader, head[0])
	case length > maxV2:
		return Header{}, fmt.Errorf("%w: %d octets, and %d is the most", ErrHeader, length, maxV2)
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, failed(err)
	}
	size := 0 // of an address
	switch head[1] {
	case 0x11:
		size = 4
	case 0x21:
		size = 16
	}
	if command == 0 || size == 0 {
		return Header{}, nil // LOCAL, or a family that says nothing to us: how long its addresses are is unknown, so TLVs are, too
	}
	if len(rest) < 2*size+4 {
		return Header{}, fmt.Errorf("%w: %d octets are too few for family %#02x", ErrHeader, length, head[1])
	}
	for tlvs := rest[2*size+4:]; len(tlvs) > 0; {
		if len(tlvs) < 3 || len(tlvs) < 3+int(binary.BigEndian.Uint16(tlvs[1:])) {
			return Header{}, fmt.Errorf("%w: its last extension is cut off", ErrHeader)
		}
		tlvs = tlvs[3+int(binary.BigEndian.Uint16(tlvs[1:])):]
	}
	source, _ := netip.AddrFromSlice(rest[:size])
	destination, _ := netip.AddrFromSlice(rest[size : 2*size])
	ports := rest[2*size:]
	return Header{
		netip.AddrPortFrom(source, binary.BigEndian.Uint16(ports)),
		netip.AddrPortFrom(destination, binary.BigEndian.Uint16(ports[2:])),
	}, nil
}

// failed is err, of a reader, in the midst of a header.
func failed(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("proxyproto: reading the header: %w", err)
}
