//go:build ignore

// It follows every pointer it meets. A pointer that leads back to itself is
// followed for ever, and anyone can send one: make sure that the loop ends.
//
//workshop:caught-by TestRead/ends_on_a_pointer_loop
//workshop:says round in circles
package dnsname

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Read(msg []byte, off int) (name string, next int, err error) {
	var text strings.Builder
	octets := 1
	for at := off; at < len(msg); {
		n := int(msg[at])
		if n >= 0xC0 && at+2 <= len(msg) {
			if next == 0 {
				next = at + 2
			}
			at = int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			continue
		}
		if next == 0 && n == 0 {
			next = at + 1
		}
		octets += 1 + n
		if n > dns.MaxLabel || at+1+n > len(msg) || octets > dns.MaxName+1 {
			break
		}
		if n == 0 {
			if text.Len() == 0 {
				return ".", next, nil
			}
			return text.String(), next, nil
		}
		if bytes.IndexByte(msg[at+1:at+1+n], '.') >= 0 {
			break
		}
		text.Write(msg[at+1 : at+1+n])
		text.WriteByte('.')
		at += 1 + n
	}
	return "", 0, fmt.Errorf("dnsname: %w", dns.ErrMalformed)
}
