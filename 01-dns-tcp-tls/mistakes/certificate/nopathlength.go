//go:build ignore

// It sets the length of the path below the authority to zero, and does not say
// that it means it. In crypto/x509 a zero MaxPathLen alone is "not set": the
// authority may then sign further authorities.
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
