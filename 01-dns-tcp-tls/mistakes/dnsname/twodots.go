//go:build ignore

// It reads what a pointer leads to as a name of its own, and joins the two.
// Where that is the root, its text is a dot, and the name ends in two. The
// root has no label: it adds nothing to the text behind one.
//
//workshop:caught-by TestRead/follows_a_pointer_to_the_root
//workshop:says adds no dot of its own
package dnsname

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Read(msg []byte, off int) (name string, next int, err error) {
	bad := fmt.Errorf("dnsname: %w", dns.ErrMalformed)
	for at := off; at < len(msg); {
		n := int(msg[at])
		if n == 0 {
			if name == "" {
				name = "."
			}
			return name, at + 1, nil
		}
		if n >= 0xC0 && at+2 <= len(msg) {
			target := int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			if target >= off {
				return "", 0, bad
			}
			rest, _, err := Read(msg, target)
			if err != nil {
				return "", 0, err
			}
			name += rest
			if len(name) >= dns.MaxName {
				return "", 0, bad
			}
			return name, at + 2, nil
		}
		if n > dns.MaxLabel || at+1+n > len(msg) || len(name)+1+n+1 > dns.MaxName {
			return "", 0, bad
		}
		label := msg[at+1 : at+1+n]
		if bytes.IndexByte(label, '.') >= 0 {
			return "", 0, bad
		}
		name += string(label) + "."
		at += 1 + n
	}
	return "", 0, bad
}
