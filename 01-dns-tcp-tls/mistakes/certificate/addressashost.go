//go:build ignore

// It puts addresses among the host names. A client that connects to an address
// compares it with the addresses in the certificate, and finds none.
//
//workshop:caught-by TestIssue/names_hosts_and_addresses
//workshop:says addresses with IPAddresses
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
