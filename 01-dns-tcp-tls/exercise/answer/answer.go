// Package answer finds the addresses in a server's reply.
//
// A reply holds the question again, a response code, and records. The name
// asked for may be an alias: a CNAME record says what the real name is, which
// may be an alias too, and only records of the last name count. Records of
// any other name are none of our business, and believing them is how caches
// are poisoned.
//
// Source: RFC 1034 §3.6.2 and §4.3; RFC 2308 §2 and §5; RFC 5452 §6.
package answer

import (
	"clicktocode.example/01-dns-tcp-tls/dns"
)

// Addresses returns the addresses that reply m holds for question q, which is
// of type A or AAAA, and the smallest TTL on the way to them. Only the answers
// count, and of them only the records of q's class that are about q.Name, or a
// name that its aliases lead to, and are aliases or of q's type: neither the
// address nor the TTL of any other.
//
// The error wraps dns.ErrMismatch when m is no response, or one to some other
// question; dns.ErrTruncated when only a part of the reply arrived;
// dns.ErrNoSuchName and dns.ErrNoData when the server says no, beside a TTL of
// min(TTL, minimum) of the zone's SOA record, or zero without one; and
// dns.ErrServerFailure, naming the code, for any other response code, or a
// chain of aliases that goes round in circles.
func Addresses(q dns.Question, m dns.Message) (dns.Answer, error) {
	// TODO(answer): Check that m answers q, all of it is here, and what its RCode says.
	// Then follow the aliases from q.Name, and collect the addresses of the last name.
	// The answer may be remembered as long as its shortest-lived record.
	// The reference imports, besides what stands above: "fmt", "math", "time".
	return dns.Answer{}, nil
}

// sameQuestion reports whether a and b ask for the same thing.
func sameQuestion(a, b dns.Question) bool {
	return dns.SameName(a.Name, b.Name) && a.Type == b.Type && a.Class == b.Class
}

// negative is what m says about remembering its "no": the TTL of the zone's
// SOA record, or its minimum if that is shorter (RFC 2308 §5), and never longer
// than the aliases that led there. Without an SOA record the TTL is zero: the
// "no" is not to be remembered.
func negative(m dns.Message) dns.Answer {
	for _, soa := range m.Authorities {
		if soa.Type == dns.TypeSOA {
			ttl := min(soa.TTL, soa.Minimum)
			for _, alias := range m.Answers {
				ttl = min(ttl, alias.TTL)
			}
			return dns.Answer{TTL: ttl}
		}
	}
	return dns.Answer{}
}
