//go:build ignore

// It puts addresses among the host names. The two are of different kinds: a name
// is text, an address is 4 or 16 octets, and neither is looked for in the other's
// field.
//
//workshop:caught-by TestIssue/names_hosts_and_addresses
//workshop:says It stands among the DNSNames
package certificate

import (
	"crypto/x509"
	"net"
	"time"
)

func LeafTemplate(now, until time.Time, hosts []string, addrs []net.IP) *x509.Certificate {
	notAfter := now.Add(LeafLifetime)
	if notAfter.After(until) {
		notAfter = until
	}
	for _, addr := range addrs {
		hosts = append(hosts, addr.String())
	}
	return &x509.Certificate{
		NotBefore:             now.Add(-Backdate),
		NotAfter:              notAfter,
		DNSNames:              hosts,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}
