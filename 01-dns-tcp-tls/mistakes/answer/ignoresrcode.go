//go:build ignore

// It never looks at the response code. A name that does not exist then looks
// like one without addresses, and so does a server that could not answer: a
// passing fault is remembered as "no".
//
//workshop:caught-by TestAddresses/says_that_a_name_does_not_exist
//workshop:says response code 3
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
	name, ttl := q.Name, time.Duration(math.MaxInt64)
	for hops := 0; hops <= len(m.Answers); hops++ {
		var found dns.Answer
		alias := ""
		for _, rr := range m.Answers {
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
