//go:build ignore

// It asks for the certificate once, when the server starts. A renewed one is
// then not seen before the server is started anew, and one day, without anyone
// having touched anything, the old one has ended and all clients leave.
//
//workshop:caught-by TestConfig/shows_a_renewed_certificate_to_the_next_connection
//workshop:says ask current at each handshake, not once
package tlsserver

import "crypto/tls"

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if cert, err := current(); err == nil && cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return config
}
