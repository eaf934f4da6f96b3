//go:build ignore

// It reads as many records as the header counts. The count is the sender's
// claim: a truncated reply holds fewer, and the program falls over.
//
//workshop:caught-by TestAddresses/refuses_half_a_reply
//workshop:says a count in a header is a claim
package answer

import (
	"fmt"
	"math"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Addresses(q dns.Question, m dns.Message) (dns.Answer, error) {
	if !m.Response || len(m.Questions) != 1 || !sameQuestion(m.Questions[0], q) {
		return dns.Answer{}, fmt.Errorf("answer: %w", dns.ErrMismatch)
	}
	if m.RCode == dns.RCodeNameError {
		return negative(m), fmt.Errorf("answer: %w", dns.ErrNoSuchName)
	}
	if m.RCode != dns.RCodeSuccess {
		return dns.Answer{}, fmt.Errorf("answer: response code %d: %w", m.RCode, dns.ErrServerFailure)
	}
	name, ttl := q.Name, time.Duration(math.MaxInt64)
	for hops := 0; hops <= len(m.Answers); hops++ {
		var found dns.Answer
		alias := ""
		for i := range int(m.ANCount) {
			rr := m.Answers[i]
			if rr.Class != q.Class || !dns.SameName(rr.Name, name) {
				continue
			}
			switch rr.Type {
			case q.Type:
				found.Addrs = append(found.Addrs, rr.Addr)
				ttl = min(ttl, rr.TTL)
			case dns.TypeCNAME:
				alias = rr.Target
				ttl = min(ttl, rr.TTL)
			}
		}
		if len(found.Addrs) > 0 {
			found.TTL = ttl
			return found, nil
		}
		if alias == "" {
			return negative(m), fmt.Errorf("answer: %w", dns.ErrNoData)
		}
		name = alias
	}
	return dns.Answer{}, fmt.Errorf("answer: %w", dns.ErrServerFailure)
}
