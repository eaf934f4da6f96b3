//go:build ignore

// It makes the server's certificate an authority's. Whoever gets hold of the
// server's key, can then sign certificates for other names, and clients that
// trust the authority believe them.
//
//workshop:caught-by TestIssue/signs_no_other_certificate
//workshop:says IsCA is true
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
	return &x509.Certificate{
		NotBefore:             now.Add(-Backdate),
		NotAfter:              notAfter,
		DNSNames:              hosts,
		IPAddresses:           addrs,
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}
