//go:build ignore

// It asks for the certificate under a lock. While one answer is slow (a renewal
// over the network, say), every other client waits at the lock, until all of
// them give up.
//
//workshop:caught-by TestConfig/lets_no_handshake_wait_for_another
//workshop:says hold no lock while current is asked
package tlsserver

import (
	"crypto/tls"
	"errors"
	"sync"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var mu sync.Mutex
	var last *tls.Certificate
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			mu.Lock()
			defer mu.Unlock()
			cert, err := current()
			if err == nil && cert != nil {
				last = cert
			}
			if last == nil {
				return nil, errors.Join(errors.New("tlsserver: no certificate"), err)
			}
			return last, nil
		},
	}
}
