//go:build ignore

// It takes every address of the name, of whatever type and network. Whoever
// asked for IPv4 gets IPv6 addresses too, and cannot use them: only records of
// the question's type and class answer it.
//
//workshop:caught-by TestAddresses/takes_no_address_of_another_type_or_class
//workshop:says only what was asked for is an answer
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
	if m.Truncated {
		return dns.Answer{}, fmt.Errorf("answer: %w", dns.ErrTruncated)
	}
	switch m.RCode {
	case dns.RCodeSuccess:
	case dns.RCodeNameError:
		return negative(m), fmt.Errorf("answer: %w", dns.ErrNoSuchName)
	default:
		return dns.Answer{}, fmt.Errorf("answer: response code %d: %w", m.RCode, dns.ErrServerFailure)
	}
	name, ttl := q.Name, time.Duration(math.MaxInt64)
	for hops := 0; hops <= len(m.Answers); hops++ {
		var found dns.Answer
		alias := ""
		for _, rr := range m.Answers {
			if !dns.SameName(rr.Name, name) {
				continue
			}
			if rr.Addr.IsValid() {
				found.Addrs = append(found.Addrs, rr.Addr)
			} else if rr.Type == dns.TypeCNAME {
				alias = rr.Target
			}
			ttl = min(ttl, rr.TTL)
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
