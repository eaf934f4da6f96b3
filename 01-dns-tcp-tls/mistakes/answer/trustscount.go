//go:build ignore

// It reads as many records as the header counts. The count is the sender's
// claim: a truncated reply holds fewer records, and the program falls over.
//
//workshop:caught-by TestAddresses/refuses_half_a_reply
//workshop:says a count in a header is a claim
package answer

import (
	"fmt"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Addresses(q dns.Question, m dns.Message) (dns.Answer, error) {
	if m.RCode == dns.RCodeNameError {
		return negative(m), dns.ErrNoSuchName
	}
	var found dns.Answer
	for i := range int(m.ANCount) {
		rr := m.Answers[i]
		if rr.Type == q.Type && dns.SameName(rr.Name, q.Name) {
			found.Addrs = append(found.Addrs, rr.Addr)
			found.TTL = rr.TTL
		}
	}
	if len(found.Addrs) == 0 {
		return negative(m), fmt.Errorf("answer: %s: %w", q, dns.ErrNoData)
	}
	return found, nil
}
