//go:build ignore

// It wraps the error that stood beside a nil certificate, and there was none.
// The handshake fails, as it must, and the log says "tlsserver: %!w(<nil>)" to
// an operator who wants to know why.
//
//workshop:caught-by TestConfig/fails_while_there_were_only_nil_certificates
//workshop:says there is no error to wrap
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
			if err == nil && cert != nil {
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
