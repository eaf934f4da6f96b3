//go:build ignore

// It limits the domains and forgets the addresses. Name constraints count for
// each kind of name by itself, so this authority may speak for every address
// there is.
//
//workshop:caught-by TestAuthority/permits_its_own_addresses_and_no_others
//workshop:says the only addresses that it may speak for
package certificate

import (
	"crypto/x509"
	"time"
)

func AuthorityTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		NotBefore:                   now.Add(-Backdate),
		NotAfter:                    now.Add(AuthorityLifetime),
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         PermittedDomains(),
	}
}
