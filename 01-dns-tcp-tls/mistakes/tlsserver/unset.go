//go:build ignore

// It leaves the lowest version to crypto/tls, whose default is right today. But
// a default is for those who have no opinion: one line in the environment, and
// this server speaks TLS 1.0 again.
//
//workshop:caught-by TestConfig/serves_TLS_1_2_and_nothing_older
//workshop:says which the environment may lower
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
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := current()
			if err == nil && cert == nil {
				err = errors.New("no certificate")
			}
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
