//go:build ignore

// It looks at the certificate alone. What stands beside an error is unfinished,
// or of last year, and here it is shown, and remembered in place of the last
// good one.
//
//workshop:caught-by TestConfig/takes_no_certificate_that_stands_beside_an_error
//workshop:says what stands beside an error counts for nothing
package tlsserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var last atomic.Pointer[tls.Certificate]
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := current()
			if cert != nil {
				last.Store(cert)
				return cert, nil
			}
			if old := last.Load(); old != nil {
				return old, nil
			}
			if err == nil {
				err = errors.New("no certificate")
			}
			return nil, fmt.Errorf("tlsserver: %w", err)
		},
	}
}
