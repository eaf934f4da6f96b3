//go:build ignore

// It gives every certificate its full week, even when the authority ends
// before. From then on clients refuse it, while its own date says that all is
// well: nobody renews it in time.
//
//workshop:caught-by TestIssue/ends_when_its_authority_ends
//workshop:says must not promise more
package certificate

import (
	"crypto/x509"
	"net"
	"time"
)

func LeafTemplate(now, until time.Time, hosts []string, addrs []net.IP) *x509.Certificate {
	return &x509.Certificate{
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(LeafLifetime),
		DNSNames:              hosts,
		IPAddresses:           addrs,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}
