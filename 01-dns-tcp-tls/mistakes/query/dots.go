//go:build ignore

// It sends the name as it is typed, dots and all, behind one length for the
// whole. On the wire there are no dots: each label has a length of its own.
//
//workshop:caught-by TestBuild/writes_each_label_behind_its_length
//workshop:says no dot is sent
package query

import (
	"encoding/binary"
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Build(id uint16, q dns.Question) ([]byte, error) {
	name := strings.TrimSuffix(q.Name, ".")
	if q.Name != "." {
		for _, label := range strings.Split(name, ".") {
			if len(label) == 0 || len(label) > dns.MaxLabel {
				return nil, fmt.Errorf("query: name %q: %w", q.Name, dns.ErrMalformed)
			}
		}
	}
	if len(name)+2 > dns.MaxName {
		return nil, fmt.Errorf("query: name %q: %w", q.Name, dns.ErrMalformed)
	}
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
	if len(name) > 0 {
		msg = append(msg, byte(len(name)))
		msg = append(msg, name...)
	}
	msg = append(msg, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Type))
	return binary.BigEndian.AppendUint16(msg, uint16(q.Class)), nil
}
