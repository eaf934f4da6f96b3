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
	switch {
	case !m.Response || len(m.Questions) != 1 || !sameQuestion(m.Questions[0], q):
		return dns.Answer{}, dns.ErrMismatch
	case m.Truncated:
		return dns.Answer{}, dns.ErrTruncated
	case m.RCode == dns.RCodeNameError:
		return negative(m), dns.ErrNoSuchName
	case m.RCode != dns.RCodeSuccess:
		return dns.Answer{}, dns.ErrServerFailure
	}
	found := dns.Answer{TTL: time.Duration(math.MaxInt64)}
	for _, rr := range m.Answers {
		found.TTL = min(found.TTL, rr.TTL)
		if rr.Type == q.Type {
			found.Addrs = append(found.Addrs, rr.Addr)
		}
	}
	if len(found.Addrs) == 0 {
		return negative(m), fmt.Errorf("answer: %s: %w", q, dns.ErrNoData)
	}
	return found, nil
}
