//go:build ignore

// It takes a length for a pointer as soon as its first bit is set. But a
// pointer has the top two bits set: 10 is reserved, as 01 is, and what is
// reserved is no name yet.
//
//workshop:caught-by TestRead/refuses_what_is_half_a_pointer
//workshop:says a pointer has both
package dnsname

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Read(msg []byte, off int) (name string, next int, err error) {
	start := off
	for at := off; at < len(msg); {
		n := int(msg[at])
		if n == 0 {
			if next == 0 {
				next = at + 1
			}
			if name == "" {
				name = "."
			}
			return name, next, nil
		}
		if n&0x80 != 0 && at+2 <= len(msg) {
			if next == 0 {
				next = at + 2
			}
			target := int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			if target >= start {
				break
			}
			at, start = target, target
			continue
		}
		if n > dns.MaxLabel || at+1+n > len(msg) || len(name)+1+n+1 > dns.MaxName {
			break
		}
		label := msg[at+1 : at+1+n]
		if bytes.IndexByte(label, '.') >= 0 {
			break
		}
		name += string(label) + "."
		at += 1 + n
	}
	return "", 0, fmt.Errorf("dnsname: %w", dns.ErrMalformed)
}
