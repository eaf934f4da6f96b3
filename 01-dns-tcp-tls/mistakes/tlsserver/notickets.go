//go:build ignore

// It switches session tickets off, so that every client sees a renewed
// certificate at once. Every client that comes back then pays for a full
// handshake, for a change that comes once in some weeks and that a new
// certificate's overlap with the old one covers anyway.
//
//workshop:caught-by TestConfig/lets_a_client_resume
//workshop:says Session tickets must stay on
package tlsserver

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var last atomic.Pointer[tls.Certificate]
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := current()
			if err == nil && cert != nil {
				last.Store(cert)
			}
			if cert = last.Load(); cert == nil {
				return nil, errors.Join(errors.New("tlsserver: no certificate"), err)
			}
			return cert, nil
		},
	}
}
