// Package tlsserver says how a server speaks TLS: which versions, which
// protocol inside, and with which certificate.
//
// A certificate ends, and a server does not: the next certificate has to reach
// the next connection while those that are open go on. So the server does not
// hold a certificate, it asks for one at each handshake.
//
// In the story, the sign at the door is changed while guests sit inside.
//
// Source: TLS 1.3 RFC 8446; versions RFC 8996; ALPN RFC 7301; advice for
// operators RFC 9325.
package tlsserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
)

// Config returns the settings for [tls.Server], [tls.NewListener] and
// [net/http.Server], for as many connections as there are. It is not changed
// once it is in use; [tls.Config.Clone] makes one that may be.
//
// Versions are TLS 1.2 and newer. The protocol inside is agreed on by ALPN: h2
// where the client knows it, else http/1.1. A client without ALPN is served,
// and nothing is agreed on.
//
// current is asked for the certificate at each handshake that needs one, by
// many goroutines at once. A handshake waits for its own question and for no
// other's. What current gave serves that one connection to its end, whatever
// the next one gets.
//
// current fails by an error, whatever the certificate beside it, or by a nil
// certificate, whatever the error beside it. Then the last certificate that it gave is served again: a renewal that
// went wrong must not turn clients away. Where handshakes overlap, the last is
// that of the call which returned last. Only while there never was one,
// handshakes fail, with current's error wrapped; beside a nil certificate there
// may be none, and then they fail with an error of their own. To tell the
// operator is current's affair.
//
// A client that comes back may resume its session (RFC 8446 §2.2). Then no
// certificate is sent: such a client sees the renewed one when its ticket is
// too old (seven days), or when the certificate that it saw first has ended.
func Config(current func() (*tls.Certificate, error)) *tls.Config {
	//workshop:begin return &tls.Config{}
	//workshop:todo Set the lowest version, the protocols in the order that the server prefers them,
	//workshop:todo and how a handshake gets its certificate. Handshakes run side by side: what
	//workshop:todo they share needs sync/atomic, or a lock that is not held while current is asked.
	var last atomic.Pointer[tls.Certificate]
	return &tls.Config{
		// 1.0 and 1.1 rest on SHA-1 and MD5 (RFC 8996). The default is the same
		// today, and can be lowered from outside by GODEBUG=tls10server=1.
		MinVersion: tls.VersionTLS12,

		// Without it, a client that could speak HTTP/2 falls back to HTTP/1.1.
		NextProtos: []string{"h2", "http/1.1"},

		// Not Certificates: what stands there is served for ever, and where both are
		// set, it is what clients get that connect by address.
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
	//workshop:end
}
