//go:build ignore

// It names both protocols, in the wrong order. Of what both sides know, the
// server takes the first in its own list, whatever the client prefers: so every
// client speaks HTTP/1.1, and nothing looks wrong.
//
//workshop:caught-by TestConfig/prefers_h2_to_http_1_1
//workshop:says h2 must stand first there
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
		NextProtos: []string{"http/1.1", "h2"},
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
