//go:build ignore

// It writes the server's name into the subject's common name, where it stood
// until 2011. No client looks there any more: a certificate is good for the
// names in its subject alternative names, and this one has none.
//
//workshop:caught-by TestIssue/names_hosts_and_addresses
//workshop:says the subject's common name is
package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"time"
)

func LeafTemplate(now, until time.Time, hosts []string, addrs []net.IP) *x509.Certificate {
	notAfter := now.Add(LeafLifetime)
	if notAfter.After(until) {
		notAfter = until
	}
	template := &x509.Certificate{
		NotBefore:             now.Add(-Backdate),
		NotAfter:              notAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(hosts) > 0 {
		template.Subject = pkix.Name{CommonName: hosts[0]}
	}
	return template
}
