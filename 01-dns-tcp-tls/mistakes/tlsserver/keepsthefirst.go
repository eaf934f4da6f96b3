//go:build ignore

// It remembers the first certificate and no later one. When a renewal fails,
// months after the start, it serves one that has ended long ago.
//
//workshop:caught-by TestConfig/serves_the_last_certificate_when_the_next_fails
//workshop:says the second one is the last
package tlsserver

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var first atomic.Pointer[tls.Certificate]
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := current()
			if err == nil && cert != nil {
				first.CompareAndSwap(nil, cert)
				return cert, nil
			}
			if cert = first.Load(); cert == nil {
				return nil, errors.Join(errors.New("tlsserver: no certificate"), err)
			}
			return cert, nil
		},
	}
}
