//go:build ignore

// It lets old clients in, "to be compatible". TLS 1.0 and 1.1 rest on broken
// hashes, and no browser has spoken them for years: whoever asks for them is
// an attacker, or must be told to update.
//
//workshop:caught-by TestConfig/serves_TLS_1_2_and_nothing_older
//workshop:says broken and withdrawn
package tlsserver

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var last atomic.Pointer[tls.Certificate]
	return &tls.Config{
		MinVersion: tls.VersionTLS10,
		NextProtos: []string{"h2", "http/1.1"},
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
