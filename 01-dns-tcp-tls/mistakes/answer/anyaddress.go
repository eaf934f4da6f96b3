//go:build ignore

// It takes every address in the reply, whatever name it belongs to. A server
// can add records of any name; only those of the name that was asked for, or
// of the name its aliases lead to, are an answer.
//
//workshop:caught-by TestAddresses/takes_no_address_of_another_name
//workshop:says cache poisoning
package answer

import (
	"fmt"
	"math"
	"time"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

func Addresses(q dns.Question, m dns.Message) (dns.Answer, error) {
	if !m.Response || len(m.Questions) != 1 || !sameQuestion(m.Questions[0], q) {
		return dns.Answer{}, fmt.Errorf("answer: asked for %s: %w", q, dns.ErrMismatch)
	}
	if m.Truncated {
		return dns.Answer{}, fmt.Errorf("answer: %s: %w", q, dns.ErrTruncated)
	}
	switch m.RCode {
	case dns.RCodeSuccess:
	case dns.RCodeNameError:
		return negative(m), fmt.Errorf("answer: %s: %w", q, dns.ErrNoSuchName)
	default:
		return dns.Answer{}, fmt.Errorf("answer: %s: response code %d: %w", q, m.RCode, dns.ErrServerFailure)
	}

	name, ttl := q.Name, time.Duration(math.MaxInt64)
	for hops := 0; hops <= len(m.Answers); hops++ {
		var found dns.Answer
		alias := ""
		for _, rr := range m.Answers {
			switch {
			case rr.Type == q.Type:
				found.Addrs = append(found.Addrs, rr.Addr)
				ttl = min(ttl, rr.TTL)
			case rr.Type == dns.TypeCNAME && dns.SameName(rr.Name, name):
				alias = rr.Target
				ttl = min(ttl, rr.TTL)
			}
		}
		if len(found.Addrs) > 0 {
			found.TTL = ttl
			return found, nil
		}
		if alias == "" {
			return negative(m), fmt.Errorf("answer: %s: %w", q, dns.ErrNoData)
		}
		name = alias
	}
	// More hops than records: the aliases lead round in circles.
	return dns.Answer{}, fmt.Errorf("answer: %s: aliases lead back to %s: %w", q, name, dns.ErrServerFailure)
}
