//go:build ignore

// It looks at the error alone. A nil certificate with a nil error is handed on
// and, worse, remembered: the last good certificate is gone, and clients are
// turned away.
//
//workshop:caught-by TestConfig/takes_a_nil_certificate_for_a_failure
//workshop:says That is a failure like any other
package tlsserver

import (
	"crypto/tls"
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
			if err == nil {
				last.Store(cert)
				return cert, nil
			}
			if old := last.Load(); old != nil {
				return old, nil
			}
			return nil, fmt.Errorf("tlsserver: %w", err)
		},
	}
}
