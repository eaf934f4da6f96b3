//go:build ignore

// It goes on behind the name that the pointer led to. But a pointer ends the
// name in the message: what comes next stands behind its two octets.
//
//workshop:caught-by TestRead/goes_on_behind_the_pointer
//workshop:says after the pointer's two octets
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
	octets, start := 1, off
	for at := off; at < len(msg); {
		n := int(msg[at])
		if n == 0 {
			if text.Len() == 0 {
				return ".", at + 1, nil
			}
			return text.String(), at + 1, nil
		}
		if n >= 0xC0 && at+2 <= len(msg) {
			target := int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			if target >= start {
				break
			}
			at, start = target, target
			continue
		}
		octets += 1 + n
		if n > dns.MaxLabel || at+1+n > len(msg) || octets > dns.MaxName {
			break
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
