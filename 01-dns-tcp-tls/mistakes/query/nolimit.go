//go:build ignore

// It checks no length. A label of 64 bytes gets a length byte whose top bits
// mean something else, and one of 260 gets a 4: the server reads another name
// than the one that was asked for.
//
//workshop:caught-by TestBuild/refuses_labels_over_63_bytes
//workshop:says a length byte holds up to 63
package query

import (
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Build(id uint16, q dns.Question) ([]byte, error) {
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
	if q.Name != "." {
		for _, label := range strings.Split(strings.TrimSuffix(q.Name, "."), ".") {
			if label == "" {
				return nil, fmt.Errorf("query: empty label in the name %q: %w", q.Name, dns.ErrMalformed)
			}
			msg = append(msg, byte(len(label)))
			msg = append(msg, label...)
		}
	}
	msg = append(msg, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Type))
	return binary.BigEndian.AppendUint16(msg, uint16(q.Class)), nil
}
