//go:build ignore

// It copies the flags of a message that it saw, 81 80. Those are a reply's:
// they set QR and RA too, and a server drops a reply that it did not ask for.
//
//workshop:caught-by TestBuild/asks_for_recursion_and_sets_no_other_flag
//workshop:says Only RD is set
package query

import (
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Build(id uint16, q dns.Question) ([]byte, error) {
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	if q.Name != "." {
		for _, label := range strings.Split(strings.TrimSuffix(q.Name, "."), ".") {
			if len(label) == 0 || len(label) > dns.MaxLabel {
				return nil, fmt.Errorf("query: name %q: %w", q.Name, dns.ErrMalformed)
			}
			msg = append(msg, byte(len(label)))
			msg = append(msg, label...)
		}
	}
	msg = append(msg, 0)
	if len(msg)-12 > dns.MaxName {
		return nil, fmt.Errorf("query: name %q: %w", q.Name, dns.ErrMalformed)
	}
	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Type))
	return binary.BigEndian.AppendUint16(msg, uint16(q.Class)), nil
}
