package certificate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
)

// Certificates count in whole seconds.
var now = time.Now().Truncate(time.Second)

// What the shop's server is reached by.
var names = []string{"shop.test", "www.shop.test", "localhost", "127.0.0.1", "::1"}

func TestAuthority(t *testing.T) {
	t.Run("is_an_authority", func(t *testing.T) {
		cert := newAuthority(t).Certificate
		assert.True(t, cert.BasicConstraintsValid && cert.IsCA,
			"Read back from the certificate: BasicConstraintsValid %v, IsCA %v. Both must be true, to say that it is an authority's (RFC 5280 §4.2.1.9); crypto/x509 leaves out IsCA and MaxPathLen unless BasicConstraintsValid is true",
			cert.BasicConstraintsValid, cert.IsCA)
		assert.Equal(t, x509.KeyUsageCertSign, cert.KeyUsage, "its key signs certificates (KeyUsage), and nothing else: RFC 5280 §4.2.1.3")
		assert.NoError(t, cert.CheckSignatureFrom(cert), "it signs its own certificate, too")
	})

	t.Run("lives_for_thirty_days", func(t *testing.T) {
		for _, at := range []time.Time{now, now.Add(1000 * time.Hour)} {
			cert := newAuthorityAt(t, at).Certificate
			assert.WithinDuration(t, at.Add(certificate.AuthorityLifetime), cert.NotAfter, 0,
				"made at %s (now, as the caller says it), it is good until AuthorityLifetime later", at)
			assert.WithinDuration(t, at.Add(-certificate.Backdate), cert.NotBefore, 0,
				"made at %s (now, as the caller says it), it is good from Backdate earlier: a client whose clock is slow must not refuse it", at)
		}
	})

	t.Run("permits_its_own_names_and_no_others", func(t *testing.T) {
		authority := newAuthority(t)
		for _, name := range []string{"shop.test", "www.shop.test", "localhost", "127.0.0.1", "127.8.9.10", "::1"} {
			assert.NoError(t, verify(authority, serverFor(t, authority, name), name), "the authority may speak for %s", name)
		}
		for _, name := range []string{"bank.test", "evil-shop.test", "shop.test.evil.example"} {
			assert.Error(t, verify(authority, serverFor(t, authority, name), name),
				"a certificate for %s, signed by this authority, was believed: whoever finds its key, could be %[1]s. Name constraints prevent it: RFC 5280 §4.2.1.10", name)
		}
	})

	t.Run("permits_its_own_addresses_and_no_others", func(t *testing.T) {
		authority := newAuthority(t)
		require.NoError(t, verify(authority, serverFor(t, authority, "127.0.0.1"), "127.0.0.1"), "the authority may speak for 127.0.0.1")
		for _, addr := range []string{"192.0.2.1", "128.0.0.1", "::2", "2001:db8::1"} {
			assert.Error(t, verify(authority, serverFor(t, authority, addr), addr),
				"a certificate for %s, signed by this authority, was believed: PermittedRanges are the only addresses that it may speak for (RFC 5280 §4.2.1.10)", addr)
		}
	})

	t.Run("has_critical_constraints", func(t *testing.T) {
		constraints := -1
		cert := newAuthority(t).Certificate
		for i, extension := range cert.Extensions {
			if extension.Id.String() == "2.5.29.30" {
				constraints = i
			}
		}
		require.GreaterOrEqual(t, constraints, 0, "the certificate has no name constraints: RFC 5280 §4.2.1.10")
		assert.True(t, cert.Extensions[constraints].Critical,
			"the name constraints are not critical: a client that does not know them would ignore them, and believe this authority about any name (RFC 5280 §4.2.1.10). In x509.Certificate, a field of its own says that they are, for domains and ranges alike")
	})

	t.Run("allows_no_authority_below_it", func(t *testing.T) {
		authority := newAuthority(t)
		require.NoError(t, verify(authority, serverFor(t, authority, "shop.test"), "shop.test"), "what the authority itself signs is good")

		key := newKey(t)
		below := &certificate.Authority{Key: key, Certificate: signedBy(t, authority, key, &x509.Certificate{
			Subject: pkix.Name{CommonName: "below"}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		})}
		assert.Error(t, verify(authority, serverFor(t, below, "shop.test"), "shop.test", below.Certificate),
			"the authority signed another authority, and what that one signs was believed. A path length of zero forbids it (RFC 5280 §4.2.1.9). "+
				"Read back from the certificate: MaxPathLen %d, and -1 means that there is no limit. A 0 in the template alone is taken for \"not set\"; a second field says that it is meant", authority.Certificate.MaxPathLen)
	})
}

func TestIssue(t *testing.T) {
	t.Run("is_good_for_a_week", func(t *testing.T) {
		_, leaf := newLeaf(t)
		assert.WithinDuration(t, now.Add(certificate.LeafLifetime), leaf.NotAfter, 0,
			"made at %s, it is good until LeafLifetime later. A stolen key is of use no longer than that", now)
		assert.WithinDuration(t, now.Add(-certificate.Backdate), leaf.NotBefore, 0,
			"made at %s, it is good from Backdate earlier: a client whose clock is slow must not refuse it", now)
	})

	t.Run("names_hosts_and_addresses", func(t *testing.T) {
		authority, leaf := newLeaf(t)
		if cn := leaf.Subject.CommonName; cn != "" {
			require.NotEmpty(t, leaf.DNSNames, "issued for %q: DNSNames are empty, and the subject's common name is %q (RFC 9525 §2)", names, cn)
		}
		for _, name := range names {
			why := fmt.Sprintf("a client compares the host name that it asked for with the certificate's DNSNames, which are %q (RFC 9525 §6)", leaf.DNSNames)
			if net.ParseIP(name) != nil {
				why = fmt.Sprintf("a client compares the address that it connected to with the certificate's IPAddresses, which are %v (RFC 9525 §6)", leaf.IPAddresses)
				if slices.Contains(leaf.DNSNames, name) {
					why += ". It stands among the DNSNames"
				}
			}
			assert.NoError(t, verify(authority, leaf, name), "issued for %q, and not good for %s: %s", names, name, why)
		}
	})

	t.Run("names_hosts_alone_and_addresses_alone", func(t *testing.T) {
		authority := newAuthority(t)
		for _, name := range []string{"shop.test", "127.0.0.1"} {
			assert.NoError(t, verify(authority, issue(t, authority, now, name).Leaf, name), "issued for %s and nothing else, and not good for it: hosts or addrs may be empty", name)
		}
	})

	t.Run("is_good_for_no_other_name", func(t *testing.T) {
		authority, leaf := newLeaf(t)
		require.NoError(t, verify(authority, leaf, "shop.test"), "issued for shop.test")
		for _, name := range []string{"api.shop.test", "x.www.shop.test", "test", "127.0.0.2"} {
			assert.Error(t, verify(authority, leaf, name), "issued for %q alone, it is good for %s too", names, name)
		}
	})

	t.Run("ends_when_its_authority_ends", func(t *testing.T) {
		authority := newAuthority(t)
		late := authority.Certificate.NotAfter.Add(-time.Hour)
		leaf := issue(t, authority, late, "shop.test").Leaf
		assert.WithinDuration(t, authority.Certificate.NotAfter, leaf.NotAfter, 0,
			"issued an hour before its authority ends: NotAfter is %s, the authority's (until) is %s. A certificate must not promise more than its authority", leaf.NotAfter, authority.Certificate.NotAfter)
		assert.WithinDuration(t, late.Add(-certificate.Backdate), leaf.NotBefore, 0, "it was issued at %s", late)
	})

	t.Run("signs_no_other_certificate", func(t *testing.T) {
		authority := newAuthority(t)
		server := issue(t, authority, now, "shop.test")
		require.NoError(t, verify(authority, server.Leaf, "shop.test"), "good for a server named shop.test")
		assert.False(t, server.Leaf.IsCA, "Read back from the certificate: IsCA is true. A server's certificate is no authority's: RFC 5280 §4.2.1.9")

		key, ok := server.PrivateKey.(*ecdsa.PrivateKey)
		require.True(t, ok, "the key is a %T, not an *ecdsa.PrivateKey", server.PrivateKey)
		forged := serverFor(t, &certificate.Authority{Certificate: server.Leaf, Key: key}, "www.shop.test")
		assert.Error(t, forged.CheckSignatureFrom(server.Leaf),
			"with the server's key, another certificate was signed, and crypto/x509 believes it: RFC 5280 §4.2.1.9")
	})

	t.Run("is_for_servers_alone", func(t *testing.T) {
		authority, leaf := newLeaf(t)
		require.NoError(t, verify(authority, leaf, "shop.test"), "good for a server named shop.test")
		assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.ExtKeyUsage,
			"the certificate is for a TLS server (ExtKeyUsage), and for nothing else: RFC 5280 §4.2.1.12")
		assert.Equal(t, x509.KeyUsageDigitalSignature, leaf.KeyUsage,
			"a server's ECDSA key signs handshakes (KeyUsage digitalSignature), and nothing else: RFC 5280 §4.2.1.3")
	})

	t.Run("works_in_a_handshake", func(t *testing.T) {
		authority := newAuthority(t)
		server := issue(t, authority, now, names...)
		here, there := net.Pipe()
		deadline := time.Now().Add(time.Second)
		require.NoError(t, here.SetDeadline(deadline))
		require.NoError(t, there.SetDeadline(deadline))
		done := make(chan error, 1)
		go func() {
			defer there.Close()
			done <- tls.Server(there, &tls.Config{Certificates: []tls.Certificate{*server}, SessionTicketsDisabled: true}).Handshake()
		}()
		pool := x509.NewCertPool()
		pool.AddCert(authority.Certificate)
		err := tls.Client(here, &tls.Config{RootCAs: pool, ServerName: "shop.test"}).Handshake()
		here.Close()
		serverErr := <-done
		require.NoError(t, err, "a client that trusts the authority and asks for shop.test must accept the certificate")
		require.NoError(t, serverErr, "the client was content with the handshake, and the server was not")
	})

	t.Run("convinces_openssl", func(t *testing.T) {
		authority, leaf := newLeaf(t)
		require.NoError(t, verify(authority, leaf, "shop.test"), "good for a server named shop.test")
		openssl, err := exec.LookPath("openssl")
		if err != nil && os.Getenv("CI") == "" {
			t.Skip("openssl is not installed, so it was not asked: apt install openssl, brew install openssl, or on Windows run this in Git's shell")
		}
		require.NoError(t, err, "where CI is set, openssl must be there")

		dir := t.TempDir()
		ca := writePEM(t, dir, "ca.pem", authority.Certificate)
		agrees := func(cert *x509.Certificate, name string) (string, error) {
			out, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver",
				"-verify_hostname", name, writePEM(t, dir, "leaf.pem", cert)).CombinedOutput()
			return string(out), err
		}
		out, err := agrees(leaf, "www.shop.test")
		assert.NoError(t, err, "openssl verify refuses the certificate for www.shop.test, and says:\n%s", out)
		_, err = agrees(leaf, "api.shop.test")
		assert.Error(t, err, "openssl verify takes the certificate for api.shop.test, which is none of its names")
		_, err = agrees(serverFor(t, authority, "bank.test"), "bank.test")
		assert.Error(t, err, "openssl verify believes this authority about bank.test")
	})
}

// newAuthority is certificate.NewAuthority where it must not fail.
func newAuthority(t *testing.T) *certificate.Authority {
	t.Helper()
	return newAuthorityAt(t, now)
}

func newAuthorityAt(t *testing.T, at time.Time) *certificate.Authority {
	t.Helper()
	var authority *certificate.Authority
	var err error
	if fault := panics.In(func() { authority, err = certificate.NewAuthority(at) }); fault != "" {
		require.Fail(t, fault, "NewAuthority panicked: AuthorityTemplate must return a template")
	}
	require.NoError(t, err, "NewAuthority: crypto/x509 cannot make a certificate from what AuthorityTemplate returned")
	return authority
}

// issue is what authority issues at the given time.
func issue(t *testing.T, authority *certificate.Authority, at time.Time, names ...string) *tls.Certificate {
	t.Helper()
	var server *tls.Certificate
	var err error
	if fault := panics.In(func() { server, err = authority.Issue(at, names...) }); fault != "" {
		require.Fail(t, fault, "Issue(%q) panicked: LeafTemplate must return a template, whichever of hosts and addrs is empty", names)
	}
	require.NoError(t, err, "Issue(%q): crypto/x509 cannot make a certificate from what LeafTemplate returned", names)
	return server
}

// newLeaf is a new authority, and a certificate for names that it issued.
func newLeaf(t *testing.T) (*certificate.Authority, *x509.Certificate) {
	t.Helper()
	authority := newAuthority(t)
	return authority, issue(t, authority, now, names...).Leaf
}

// verify asks crypto/x509 whether a client that trusts authority takes leaf for the server called name.
func verify(authority *certificate.Authority, leaf *x509.Certificate, name string, between ...*x509.Certificate) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(authority.Certificate)
	for _, cert := range between {
		intermediates.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now,
		DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// serverFor is a faultless certificate for name, made without the code under
// test, that authority signed.
func serverFor(t *testing.T, authority *certificate.Authority, name string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	return signedBy(t, authority, newKey(t), template)
}

// signedBy is what template says of key, signed by authority.
func signedBy(t *testing.T, authority *certificate.Authority, key *ecdsa.PrivateKey, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Certificate, key.Public(), authority.Key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func writePEM(t *testing.T, dir, name string, cert *x509.Certificate) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
	return file
}
