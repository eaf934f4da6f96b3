//go:build ignore

// It writes the words of dns.ErrMalformed into an error of its own. Whoever
// asks errors.Is compares values and not words, and is told no: the caller
// cannot tell a bad name from a broken network.
//
//workshop:caught-by TestBuild/refuses_an_empty_name
//workshop:says the words alone do not make it one
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
			if len(label) == 0 || len(label) > dns.MaxLabel {
				return nil, fmt.Errorf("query: name %q: malformed", q.Name)
			}
			msg = append(msg, byte(len(label)))
			msg = append(msg, label...)
		}
	}
	msg = append(msg, 0)
	if len(msg)-12 > dns.MaxName {
		return nil, fmt.Errorf("query: name %q: malformed", q.Name)
	}
	msg = binary.BigEndian.AppendUint16(msg, uint16(q.Type))
	return binary.BigEndian.AppendUint16(msg, uint16(q.Class)), nil
}
