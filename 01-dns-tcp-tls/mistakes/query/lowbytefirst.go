//go:build ignore

// It writes numbers with their low byte first, as the processor keeps them.
// On the network the high byte comes first: the ID 12345 is 30 39.
//
//workshop:caught-by TestBuild/starts_with_the_ID
//workshop:says the high byte first
package query

import (
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Build(id uint16, q dns.Question) ([]byte, error) {
	msg := binary.LittleEndian.AppendUint16(nil, id)
	msg = append(msg, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
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
	msg = binary.LittleEndian.AppendUint16(msg, uint16(q.Type))
	return binary.LittleEndian.AppendUint16(msg, uint16(q.Class)), nil
}
