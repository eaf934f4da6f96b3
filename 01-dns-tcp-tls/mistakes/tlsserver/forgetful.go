//go:build ignore

// It hands on whatever the renewal says, and so its failures too. The last
// certificate was good for days to come, and yet every client is turned away.
//
//workshop:caught-by TestConfig/serves_the_last_certificate_when_the_next_fails
//workshop:says a renewal that fails must not turn clients away
package tlsserver

import "crypto/tls"

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return current()
		},
	}
}
