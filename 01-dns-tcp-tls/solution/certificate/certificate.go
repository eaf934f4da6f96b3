// Package certificate makes certificates as a certificate authority does: its
// own, and those of servers, which it signs.
//
// A certificate says "this public key belongs to these names, until then, for
// this use", and the authority's signature makes it worth something. Whoever
// trusts the authority believes every certificate that it signs. So what an
// authority may sign is limited in its own certificate, where every client
// checks it: one stolen from this workshop can speak for shop.test on a laptop,
// and for no bank.
//
// In the story, the certificate is the sign at the door, and the authority is
// the office whose seal is on it.
//
// Source: RFC 5280; for names of servers RFC 9525.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"time"
)

// How long a certificate is good.
const (
	AuthorityLifetime = 30 * 24 * time.Hour
	LeafLifetime      = 7 * 24 * time.Hour
	// Backdate is how long before its making a certificate becomes valid.
	Backdate = time.Hour
)

// PermittedDomains are the domains, each with all names below it, that the
// authority may speak for. There are no others.
func PermittedDomains() []string { return []string{"shop.test", "localhost"} }

// PermittedRanges are the addresses that the authority may speak for: those by
// which a computer reaches itself, 127.0.0.0/8 and ::1/128.
func PermittedRanges() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

// Authority signs the certificates of servers. It does not change, and may be
// used by many at once.
type Authority struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey // of Certificate. Whoever has it, is the authority
}

// NewAuthority makes an authority with a key of its own on P-256, which signs
// its own certificate. What that certificate says is [AuthorityTemplate]'s.
func NewAuthority(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	template := AuthorityTemplate(now)
	// An issuer is looked for by its name (RFC 5280 §4.1.2.4), so it has one.
	template.Subject = pkix.Name{CommonName: "From Click to Code, local authority"}
	cert, err := sign(template, template, key, key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: cert, Key: key}, nil
}

// Issue makes a key and a certificate for a server of these names, signed by
// a. What it says is [LeafTemplate]'s. Each name is a host name without its
// trailing dot ("shop.test") or an address ("127.0.0.1", "::1"); there must be
// at least one. Issue signs what it is asked to: that the name is one which a
// may speak for is for clients to check.
//
// The result holds the leaf alone, parsed too: clients have the authority's
// own certificate, or would not believe one that the server sends.
func (a *Authority) Issue(now time.Time, names ...string) (*tls.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("certificate: no name to issue for")
	}
	var hosts []string
	var addrs []net.IP
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			addrs = append(addrs, ip)
		} else {
			hosts = append(hosts, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	leaf, err := sign(LeafTemplate(now, a.Certificate.NotAfter, hosts, addrs), a.Certificate, key, a.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// AuthorityTemplate says what the authority's certificate holds. The key, the
// serial number and the subject are filled in by the caller. It is
//
//   - valid from Backdate before now until AuthorityLifetime after now;
//   - an authority, which signs servers' certificates, but no other authority's
//     (basic constraints, §4.2.1.9: path length zero), and whose key signs
//     certificates and nothing else (key usage, §4.2.1.3);
//   - limited to PermittedDomains and PermittedRanges, by name constraints that
//     are critical: a client that cannot check them must refuse the
//     certificate, not ignore them (§4.2.1.10). A limit on one kind of name says
//     nothing about the other kind.
func AuthorityTemplate(now time.Time) *x509.Certificate {
	//workshop:begin return &x509.Certificate{}
	//workshop:todo Fill in an x509.Certificate: its validity, that it is an authority, the length of
	//workshop:todo the path below it, its key usage, and the names and addresses that it permits.
	//workshop:todo Read what crypto/x509 says of fields whose zero may also mean "not set", and of
	//workshop:todo those that count only where another field says so.
	return &x509.Certificate{
		NotBefore: now.Add(-Backdate), // a client's clock may be slow
		NotAfter:  now.Add(AuthorityLifetime),

		BasicConstraintsValid: true, // without it, IsCA is not written at all
		IsCA:                  true,
		MaxPathLen:            0,
		MaxPathLenZero:        true, // without it, zero means "no limit", and a leaf made an authority by mistake is one
		KeyUsage:              x509.KeyUsageCertSign,

		PermittedDNSDomainsCritical: true, // of addresses too: it is one extension
		PermittedDNSDomains:         PermittedDomains(),
		PermittedIPRanges:           PermittedRanges(), // without it, any address is permitted
	}
	//workshop:end
}

// LeafTemplate says what a server's certificate holds. The key and the serial
// number are filled in by the caller. It is
//
//   - valid from Backdate before now until LeafLifetime after now, but not
//     longer than until, when its authority ends: from then on it would be
//     refused all the same, and its NotAfter would hide that from whoever renews it;
//   - for the given hosts and addrs, one of which may be empty, as subject
//     alternative names (§4.2.1.6), each in the field of its kind;
//   - for servers (extended key usage, §4.2.1.12), with a key that signs
//     handshakes: digitalSignature, and nothing else;
//   - no authority. It may say so (basic constraints with IsCA false) or have no
//     basic constraints: both mean the same (§4.2.1.9).
func LeafTemplate(now, until time.Time, hosts []string, addrs []net.IP) *x509.Certificate {
	//workshop:begin return &x509.Certificate{}
	//workshop:todo Fill in an x509.Certificate: its validity, the hosts and addresses that it is for,
	//workshop:todo the use of its key, and the use of the certificate.
	notAfter := now.Add(LeafLifetime)
	if notAfter.After(until) {
		notAfter = until
	}
	return &x509.Certificate{
		NotBefore: now.Add(-Backdate),
		NotAfter:  notAfter,

		// The subject's common name stays empty: no client looks there any more (RFC 9525 §2).
		DNSNames:    hosts,
		IPAddresses: addrs,

		BasicConstraintsValid: true, // says "no authority" in so many words
		IsCA:                  false,
		KeyUsage:              x509.KeyUsageDigitalSignature, // keyEncipherment is for RSA
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	//workshop:end
}

// sign has issuer, whose key is issuerKey, sign what template says of key. The
// serial number is made at random (RFC 5280 §4.1.2.2).
func sign(template, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert, nil
}
