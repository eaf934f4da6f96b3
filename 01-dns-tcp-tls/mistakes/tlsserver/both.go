//go:build ignore

// It sets a first certificate beside the question for the next. A client that
// connects to an address sends no server name, and for such clients crypto/tls
// takes what Certificates holds: they never see a renewed one.
//
//workshop:caught-by TestConfig/shows_it_to_clients_that_send_no_name_too
//workshop:says a client that sends no server name was shown the old certificate
package tlsserver

import (
	"crypto/tls"
	"sync/atomic"
)

func Config(current func() (*tls.Certificate, error)) *tls.Config {
	var last atomic.Pointer[tls.Certificate]
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := current()
			if err != nil || cert == nil {
				return last.Load(), err
			}
			last.Store(cert)
			return cert, nil
		},
	}
	if cert, err := current(); err == nil && cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return config
}
