//go:build ignore

// It names no protocols. The handshake succeeds, so nothing looks wrong: every
// client just falls back to HTTP/1.1, one request at a time.
//
//workshop:caught-by TestConfig/agrees_on_h2
//workshop:says fall back to HTTP/1.1
package tlsserver

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var last atomic.Pointer[tls.Certificate]
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
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
