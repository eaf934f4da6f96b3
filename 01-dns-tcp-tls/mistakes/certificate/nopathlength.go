//go:build ignore

// It sets the length of the path below the authority to zero, and does not say
// that it means it. A zero in a Go struct may as well be a field that nobody
// filled in, and crypto/x509 takes it for that, unless a second field says that
// the zero is meant.
//
//workshop:caught-by TestAuthority/allows_no_authority_below_it
//workshop:says means that there is no limit
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
		MaxPathLen:                  0,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         PermittedDomains(),
		PermittedIPRanges:           PermittedRanges(),
	}
}
